/* main.c - vccctl: the operator's command line. `init` sets up this machine; every other verb speaks the admin API only.
 * Never: touching the store or the signer. */
#include <string.h>

#include "controller/cli/cli_init.h"
#include "controller/cli/completion.h"
#include "controller/cli/verb.h"

int main(int argc, char **argv)
{
	const struct verb *const tables[] = {cli_system_verbs, cli_agent_verbs, cli_cert_verbs, cli_revocation_verbs, cli_target_verbs, cli_template_verbs,
	                                     cli_audit_verbs, cli_principal_verbs, cli_token_verbs, cli_approval_verbs, cli_bulk_verbs, cli_campaign_verbs, cli_ca_verbs, cli_rollover_verbs,
	                                     cli_backup_verbs, cli_restore_verbs, cli_service_verbs, cli_issue_verbs, cli_event_verbs, cli_check_verbs, cli_doctor_verbs, cli_config_verbs,
	                                     cli_notify_verbs, cli_drill_verbs};
	const size_t             sizes[] = {cli_system_verbs_n, cli_agent_verbs_n, cli_cert_verbs_n, cli_revocation_verbs_n, cli_target_verbs_n, cli_template_verbs_n,
	                                    cli_audit_verbs_n, cli_principal_verbs_n, cli_token_verbs_n, cli_approval_verbs_n, cli_bulk_verbs_n, cli_campaign_verbs_n,
	                                    cli_ca_verbs_n, cli_rollover_verbs_n, cli_backup_verbs_n, cli_restore_verbs_n, cli_service_verbs_n, cli_issue_verbs_n,
	                                    cli_event_verbs_n, cli_check_verbs_n, cli_doctor_verbs_n, cli_config_verbs_n, cli_notify_verbs_n, cli_drill_verbs_n};

	if (argc > 1 && strcmp(argv[1], "init") == 0)
		return cli_init(argc - 1, argv + 1);
	if (argc > 1 && strcmp(argv[1], "completion") == 0)
		return completion_main(tables, sizes, N_ELEMENTS(tables), argc - 1, argv + 1);
	return verb_main(tables, sizes, N_ELEMENTS(tables), argc, argv);
}
