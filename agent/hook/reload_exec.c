/* reload_exec.c - room agent/hook: reload by the command of the target file.
 * Never: a shell; see program.c for how it runs. */
#include "agent/hook/program.h"
#include "agent/hook/reload.h"

int reload_exec(const struct reload_job *job, struct hk_reply *ret)
{
	return program_run(job->target->command, job->target->timeout_ms, ret);
}
