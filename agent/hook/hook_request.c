/* hook_request.c - room agent/hook: one request from the keeper, by the table of verbs.
 * Never: a path, argument or text from the request. */
#include "agent/hook/hook_request.h"

#include <pwd.h>
#include <string.h>

#include "agent/hook/config_test.h"
#include "agent/hook/drain.h"
#include "agent/hook/reload.h"
#include "shared/base/text.h"
#include "shared/sys/clock.h"
#include "shared/sys/fault.h"
#include "shared/sys/ipc.h"
#include "shared/sys/log.h"
#include "shared/wire/wire.h"

#define KEEPER_USER "vcc-keeper"

struct hook_job {
	struct hk_request  request;
	struct target_conf target;
	char               dir[TARGET_PATH_SIZE];
	uid_t              keeper; /* who asks: target folders are his or root's */
};

static int reload_none(const struct reload_job *job, struct hk_reply *ret)
{
	(void)job;
	(void)ret;
	return 0;
}

static int (*const reloads[RELOAD_KIND_COUNT])(const struct reload_job *, struct hk_reply *) = {
	[RELOAD_NONE] = reload_none,
	[RELOAD_SYSTEMD] = reload_systemd,
	[RELOAD_SIGNAL] = reload_signal,
	[RELOAD_EXEC] = reload_exec,
	[RELOAD_HAPROXY] = reload_haproxy,
	[RELOAD_POSTGRESQL] = reload_postgresql,
};

static int do_test(const struct hook_job *job, struct hk_reply *ret)
{
	return config_test(&job->target, job->dir, job->request.generation, job->keeper, ret);
}

static struct reload_job reload_of(const struct hook_job *job)
{
	return (struct reload_job){.target = &job->target, .dir = job->dir, .owner = job->keeper};
}

static int do_reload(const struct hook_job *job, struct hk_reply *ret)
{
	const struct reload_job reload = reload_of(job);
	return reloads[job->target.reload](&reload, ret);
}

static int do_drain(const struct hook_job *job, struct hk_reply *ret)
{
	const struct reload_job reload = reload_of(job);
	return drain_workers(&reload, job->request.reloaded_ms, job->request.verb == HOOK_DRAIN_END, ret);
}

static const struct {
	const char *name, *fault, *fault_done;
	int (*act)(const struct hook_job *, struct hk_reply *);
} verbs[HOOK_VERB_COUNT] = {
	[HOOK_TEST] = {"test", "hook.test", "hook.test.done", do_test},
	[HOOK_RELOAD] = {"reload", "hook.reload", "hook.reload.done", do_reload},
	[HOOK_DRAIN] = {"drain", "hook.drain", "hook.drain.done", do_drain},
	[HOOK_DRAIN_END] = {"drain end", "hook.drain", "hook.drain.done", do_drain},
};

static int job_load(struct hook_job *job, const struct agent_conf *conf, struct refusal *why)
{
	int r = target_conf_load(conf->targets_dir, job->request.stem, &job->target, why);
	return r != 0 ? r : agent_target_dir(conf, &job->target, job->dir);
}

static void job_do(struct hook_job *job, const struct agent_conf *conf, struct hk_reply *ret)
{
	struct refusal why = {.code = 0};
	int64_t        from = clock_monotonic();
	/* the name becomes part of a path: nothing but a cert_id's letters (target files are named so) may pass */
	if (job->request.verb >= HOOK_VERB_COUNT || strchr(job->request.stem, '/') != NULL || job->request.stem[0] == '.' ||
	    job->request.stem[0] == '\0') {
		ret->code = E_HOOK_TARGET;
		return;
	}
	ret->code = job_load(job, conf, &why);
	if (ret->code != 0) {
		text_cut(ret->output, sizeof(ret->output), why.cause);
		log_refusal(LOG_LEVEL_ERROR, NULL, &why);
		ret->code = E_HOOK_TARGET;
		return;
	}
	if (fault_point(verbs[job->request.verb].fault) != 0)
		ret->code = E_SYS_IO;
	else
		ret->code = verbs[job->request.verb].act(job, ret);
	(void)fault_point(verbs[job->request.verb].fault_done);
	ret->took_ms = clock_monotonic() - from;
	if (ret->code == 0 && job->request.verb == HOOK_DRAIN)
		return; /* asked again and again; who asks says what it means */
	char code[ERR_CODE_SIZE] = "done";
	log_line(ret->code == 0 ? LOG_LEVEL_INFO : LOG_LEVEL_WARNING, NULL, "target %s: %s: %s, status %d, %lld ms%s%s", job->request.stem,
	         verbs[job->request.verb].name, ret->code != 0 ? err_code(ret->code, code) : code, ret->status, (long long)ret->took_ms,
	         ret->output[0] != '\0' ? ": " : "", ret->output);
}

/* Beside root and ourselves only the keeper may ask; where everything runs as one user there is no such user. */
static int peer_check(int fd, uid_t *ret_uid)
{
	const struct passwd *keeper = getpwnam(KEEPER_USER);
	return ipc_peer_check(fd, keeper != NULL ? keeper->pw_uid : (uid_t)-1, ret_uid);
}

int hook_request_serve(int fd, const struct agent_conf *conf, struct refusal *why)
{
	static struct wire_frame frame;
	static struct hook_job   job;
	struct hk_reply          reply = {.code = 0};
	struct buf               in = BUF_MAX(4096);
	struct buf               out = BUF_MAX(4096);

	int r = peer_check(fd, &job.keeper);
	if (r != 0)
		return refuse(why, r, "peer", "a process of another user than root, our own and %s asked", KEEPER_USER);
	r = ipc_read(fd, in.max, HOOK_REQUEST_MS, &in);
	if (r == 0)
		r = wire_decode(&wire_hook, buf_span(&in), 0, &frame);
	if (r == 0 && frame.type != HK_REQUEST)
		r = E_WIRE_MESSAGE;
	if (r == 0) {
		job.request = frame.u.hk_request;
		job_do(&job, conf, &reply);
		r = wire_encode(&wire_hook, HK_REPLY, frame.id, &reply, &out);
	}
	if (r == 0)
		r = ipc_write(fd, buf_span(&out), HOOK_REQUEST_MS);
	buf_free(&in);
	buf_free(&out);
	return r == 0 ? 0 : refuse(why, r, "request", "%s", err_what(r));
}
