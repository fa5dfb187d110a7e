/* program_table.c - room shared/conf: what each program can be asked on its command line, in one table.
 * Never: parsing. */
#include "shared/conf/program_table.h"

#include "shared/base/text.h"
#include "shared/conf/agent_conf.h"
#include "shared/conf/controller_conf.h"
#include "shared/conf/gateway_conf.h"
#include "shared/conf/help_lines.h"
#include "shared/conf/signer_conf.h"

#define CONFIG {"config", "FILE", "settings, in the place of the default"}
#define FORM {"o", "table|json", "how it is shown"}
#define TEMPLATE {"template", "ID", "template of the new target file"}

static const struct program_command controller_commands[] = {
	{NULL, "", "Serves: orders, policy, store, audit, admin API, dashboard, public listener. Locks itself in first.", {{0}}},
	{"init", "", "Makes the store and the first admin, once. `vccctl init` runs it after the signer's.", {
		{"ca", "DIR", "folder of the CA certificates that `vcc-signer init` wrote"},
		{"tokens", "DIR", "folder for the first admin's token"},
		{"crypto", "modern|brief", "keys of the templates: ECDSA P-256 (default), or RSA as first written down"},
		CONFIG}},
	{"restore", "BACKUP", "Puts a backup in the place of the database. The controller must not run. Nothing is ordered before `vccctl restore --accept`.", {
		{"keep-tokens", NULL, "tokens made before the backup stay good"},
		{"drill", NULL, "only tries it, in a folder of its own beside what runs"},
		CONFIG}},
};

static const struct program_command gateway_commands[] = {
	{NULL, "", "Serves the agents' port and the join port, and hands frames to the controller. Keeps nothing but its own TLS key.", {{0}}},
};

static const struct program_command signer_commands[] = {
	{NULL, "", "Serves the controller's socket: builds certificates, lists and OCSP answers from facts and signs them within its own limits.", {{0}}},
	{"init", "", "Makes passphrase, root and issuing CAs, once. `vccctl init` runs it.", {
		{"organisation", "O", "organisation, in the subject of every CA"},
		{"public", "DIR", "folder for certificates and lists that everybody may read"},
		CONFIG}},
	{"audit-restart", "", "After a restore: the next head of the audit trail may begin anew. Hosts that keep an old head go on saying so.", {CONFIG}},
	{"drill", "[FOLDER]", "Do the CA keys of the folder, or of a copy of it, open and sign? Beside a running signer; changes nothing.", {CONFIG}},
	{"split", "NEEDED OF", "Makes shares of the passphrase for so many custodians; NEEDED of them open the keys. Beside a running signer; keys stay as they are.", {CONFIG}},
	{"unlock", "[FOLDER]", "Gives one share to the signer, or command, that waits for it; to a drill of a copy, below its FOLDER. The share is asked for, echo off, or read from stdin.", {CONFIG}},
	{"new-root", "", "Makes the next root, the CAs below it and a trust bundle with both roots. The signer must not run.", {CONFIG}},
	{"drop-root", "ROOT", "Makes the trust bundle without one of the roots. The signer must not run.", {CONFIG}},
	{"root-request", "ROLE|list", "Asks a root whose key is elsewhere for an authority, or for its revocation list: the request goes to stdout. The signer must not run.", {CONFIG}},
	{"root-sign", "REQUEST", "On the machine with the root's key: signs the request; the answer goes to stdout.", {
		{"hash", "DIGITS", "first digits of the request's hash, as the other machine showed them; needed"},
		CONFIG}},
	{"root-import", "ANSWER", "Takes the authority or the list that the root signed, where it was asked for. The signer must not run.", {CONFIG}},
};

static const struct program_command agent_commands[] = {
	{NULL, "", "The host's connection to the controller. Decides nothing.", {{0}}},
	{"join", "HOST:PORT", "Becomes a host of the controller there. The token is asked for, echo off, or read from stdin.", {
		{"pin", "sha256:HEX", "fingerprint of the root, as the invite printed it; needed"},
		{"token-file", "FILE", "file with the token"},
		CONFIG,
		{"state-dir", "D", "everything below D, as the own user"}}},
	{"status", "", "What is wanted, issued, on disk and served.", {FORM, CONFIG}},
	{"doctor", "", "Would the next renewal work? Shows what stands in its way and what to do. Exit status: 0 nothing is wrong (warnings at most), 1 it could not look, 7 something is wrong.", {
		{"fix", NULL, "mends what cannot harm: the kernel's limits of file watches, and the modes of the agent's own folders"},
		FORM, CONFIG}},
	{"observe", "", "Shows which listeners of this host serve which certificate, and tells the controller. Changes nothing.", {
		{"all", NULL, "also listeners without TLS"},
		{"no-report", NULL, "the controller is not told"},
		FORM, CONFIG}},
	{"discover", "[NAME]", "Shows the TLS services of this host, who renews their certificates, and the target file that each would get.", {TEMPLATE, FORM, CONFIG}},
	{"manage", "NAME", "Takes over the certificate of a service that `vcc-agent discover` shows.", {
		{"dry-run", NULL, "shows every change and does none"},
		{"from", "certbot|certmonger|acme.sh", "who renews it now, where that is not found out"},
		TEMPLATE, CONFIG}},
	{"unmanage", "NAME", "Puts everything back that `vcc-agent manage NAME` changed.", {CONFIG}},
};

static const struct program_command keeper_commands[] = {
	{NULL, "", "Holds the host key and the services' keys; swaps, watches, probes, reports. Runs no program.", {{0}}},
	{"join", "", "The half of joining that owns the host key; `vcc-agent join` runs it.", {
		CONFIG,
		{"state-dir", "D", "everything below D, as the own user"}}},
};

static const struct program_command hook_commands[] = {
	{NULL, "", "Serves one request of the keeper, on the connection that systemd gives it: a configuration test, a reload, a look at old workers.", {
		{"listen", "SOCKET", "without systemd: listens there, one child for each request"}}},
};

static const struct program_command vccctl_commands[] = {
	{"init", "", "Sets up an installation on this machine: folders, configurations, CAs, store, first admin. Needs an organisation, a domain and both contacts; overwrites nothing.", {
		{"org", "O", "organisation, in the subject of every certificate"},
		{"domain", "NAME", "names in certificates end in it (repeatable)"},
		{"permit-ip", "CIDR", "addresses in certificates lie in it (repeatable; without it no certificate holds an address)"},
		{"public-name", "N", "name of this machine for hosts (pki.DOMAIN)"},
		{"crypto", "modern|brief", "keys of the templates: ECDSA P-256 (default), or RSA as first written down"},
		{"admin-contact", "C", "who runs this; mail address"},
		{"security-contact", "C", "who is told about incidents"},
		{"state-dir", "D", "everything below D, as the own user"},
		{"public-url", "URL", "CRLs and CA certificates (http://N)"},
		{"public-listen", "A", "HOST:PORT ([::]:80)"},
		{"admin-listen", "A", "HOST:PORT ([::]:8444)"},
		{"agent-listen", "A", "HOST:PORT ([::]:8443)"},
		{"join-listen", "A", "HOST:PORT ([::]:8442)"},
		{"bin-dir", "D", "where vcc-signer and vcc-controller are"}}},
	{"completion", "bash|zsh|fish", "Prints what makes a shell complete the command line.", {{0}}},
};

#define COMMANDS(table) table, N_ELEMENTS(table)
static const struct program table[] = {
	{"vcc-controller", "policy, schedule, store, audit, admin API of a certificate installation", CONTROLLER_CONF_PATH, COMMANDS(controller_commands)},
	{"vcc-gateway", "the agents' side of the controller: websockets and join port", GATEWAY_CONF_PATH, COMMANDS(gateway_commands)},
	{"vcc-signer", "the only process with CA keys", SIGNER_CONF_PATH, COMMANDS(signer_commands)},
	{"vcc-agent", "the host's network process, and its administrator's commands", AGENT_CONF_PATH, COMMANDS(agent_commands)},
	{"vcc-keeper", "the host's key holder", AGENT_CONF_PATH, COMMANDS(keeper_commands)},
	{"vcc-hook", "tests and reloads services for the keeper", AGENT_CONF_PATH, COMMANDS(hook_commands)},
	{"vccctl", "the operator's command line", NULL, COMMANDS(vccctl_commands)},
};

static const struct program_option globals[] = {
	{"config", "FILE", "settings, with drop-ins in FILE.d/*.conf"},
	{"check", NULL, "check the settings and end"},
	{"version", NULL, "print the version and end"},
	{"help", NULL, "print this and end"},
};

const struct program *programs(size_t *ret_n)
{
	*ret_n = N_ELEMENTS(table);
	return table;
}

const struct program_option *program_globals(size_t *ret_n)
{
	*ret_n = N_ELEMENTS(globals);
	return globals;
}

const struct program *program_find(const char *name)
{
	for (size_t i = 0; i < N_ELEMENTS(table); i++)
		if (text_equal(table[i].name, name))
			return &table[i];
	return NULL;
}

const struct program_command *program_command_find(const struct program *p, const char *name)
{
	for (size_t i = 0; i < p->n_commands; i++)
		if (text_equal(p->commands[i].name, name))
			return &p->commands[i];
	return NULL;
}

static void print_options(const struct program_option *o, size_t n, FILE *to)
{
	for (size_t i = 0; i < n && o[i].name != NULL; i++) {
		char letter[64];
		snprintf(letter, sizeof(letter), "-%s %s", o[i].name, o[i].value != NULL ? o[i].value : "");
		if (o[i].name[1] == '\0')
			help_row(to, letter, 22, o[i].about);
		else
			help_option(to, o[i].name, o[i].value, o[i].about);
	}
}

/* The program as a whole: its own part first, then its commands, one line each. */
static void print_program(const struct program *p, FILE *to)
{
	const struct program_command *own = program_command_find(p, NULL);
	fprintf(to, "usage: %s %s[OPTIONS]\n\n", p->name, p->n_commands > 1 ? "[COMMAND] " : "");
	help_wrapped(to, 0, 0, own->about);
	fputc('\n', to);
	for (size_t i = 0; i < p->n_commands; i++) {
		char left[64];
		if (p->commands[i].name == NULL)
			continue;
		snprintf(left, sizeof(left), "%s%s%s", p->commands[i].name, p->commands[i].words[0] != '\0' ? " " : "", p->commands[i].words);
		help_row(to, left, 22, p->commands[i].about);
	}
	if (p->n_commands > 1)
		fputc('\n', to);
	print_options(own->options, PROGRAM_OPTIONS_MAX, to);
	print_options(globals, N_ELEMENTS(globals), to);
	fprintf(to, "\nThe settings are in %s.\n", p->conf);
}

void program_help(const char *program, const char *command, FILE *to)
{
	const struct program         *p = program_find(program);
	const struct program_command *c = program_command_find(p, command);
	if (command == NULL) {
		print_program(p, to);
		return;
	}
	fprintf(to, "usage: %s %s%s%s%s\n\n", program, command, c->words[0] != '\0' ? " " : "", c->words,
		c->options[0].name != NULL ? " [OPTIONS]" : "");
	help_wrapped(to, 0, 0, c->about);
	if (c->options[0].name != NULL)
		fputc('\n', to);
	print_options(c->options, PROGRAM_OPTIONS_MAX, to);
}
