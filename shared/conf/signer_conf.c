/* signer_conf.c - room shared/conf: the keys of signer.conf; the maxima of `limits` are the hard ceilings of the signer.
 * Never: opening what the keys name. */
#include "shared/conf/signer_conf.h"

#include <stddef.h>

#include "shared/base/text.h"
#include "shared/base/times.h"

#define AT(field) offsetof(struct signer_conf, field), sizeof(((struct signer_conf *)0)->field)
#define TEXT(n) #n
#define DAYS(n) MS_SECOND, (n) * MS_DAY, TEXT(n) "d" /* least, most, default */

static const struct conf_key keys[] = {
	{"signer", "state_dir", CONF_PATH, AT(state_dir), 0, 0, "/var/lib/vcc-signer", NULL, "Folder of CA keys and certificates."},
	{"signer", "socket", CONF_PATH, AT(socket), 0, 0, "/run/vcc-signer/signer.sock", NULL, "Local socket where the controller connects."},
	{"signer", "passphrase_file", CONF_TEXT, AT(passphrase_file), 0, 0, "", NULL, "File (mode 0600) with the passphrase of the CA keys; empty = systemd credential `ca-passphrase`."},
	{"signer", "log", CONF_TEXT, AT(log), 0, 0, "", NULL, "The append-only log of everything signed; empty = STATE_DIR/signing.log."},
	{"signer", "controller_user", CONF_TEXT, AT(controller_user), 0, 0, "vcc-controller", NULL, "User whose processes may connect, beside root and the signer's own; empty = no other."},
	{"signer", "public_url", CONF_TEXT, AT(public_url), 0, 0, NULL, NULL, "URL of the public listener as written into certificates, without final slash."},
	{"pkcs11", "module", CONF_TEXT, AT(module), 0, 0, "", NULL, "PKCS#11 module of the token where CA keys are made and stay; empty = they are files."},
	{"pkcs11", "token", CONF_TEXT, AT(token), 0, 0, "", NULL, "Label of the token."},
	{"pkcs11", "pin_file", CONF_TEXT, AT(pin_file), 0, 0, "", NULL, "File (mode 0600) with the token's user PIN; empty = systemd credential `ca-pin`."},
	{"pkcs11", "folders", CONF_LIST, AT(folders), 0, 0, "", NULL, "Folders that the module reads and writes while the signer runs, beside libraries."},
	{"pkcs11", "local_sockets", CONF_BOOL, AT(local_sockets), 0, 0, "no", NULL, "The module speaks to a daemon of this host over a local socket (pcscd, a vendor's client)."},
	{"limits", "domains", CONF_LIST, AT(domains), 0, 0, NULL, NULL, "DNS names of service certificates are these domains or below."},
	{"limits", "ip_ranges", CONF_LIST, AT(ip_ranges), 0, 0, "", NULL, "IP addresses of service certificates lie in these ranges; empty = none."},
	{"limits", "rate", CONF_INT, AT(rate), 1, 1000000, "20000", NULL, "Signatures a second; more is refused with VCC-3404."},
	{"limits", "service", CONF_DURATION, AT(validity_ms[LEAF_SERVICE]), DAYS(LEAF_DAYS_SERVICE), NULL, "Longest validity of service certificates."},
	{"limits", "code_signing", CONF_DURATION, AT(validity_ms[LEAF_CODE_SIGNING]), DAYS(LEAF_DAYS_CODE_SIGNING), NULL, "Longest validity of code-signing certificates."},
	{"limits", "agent", CONF_DURATION, AT(validity_ms[LEAF_AGENT]), DAYS(LEAF_DAYS_AGENT), NULL, "Longest validity of agents' link certificates."},
	{"limits", "gateway", CONF_DURATION, AT(validity_ms[LEAF_GATEWAY]), DAYS(LEAF_DAYS_GATEWAY), NULL, "Longest validity of gateways' TLS certificates."},
	{"limits", "admin_tls", CONF_DURATION, AT(validity_ms[LEAF_ADMIN_TLS]), DAYS(LEAF_DAYS_ADMIN_TLS), NULL, "Longest validity of the admin API's TLS certificate."},
	{"limits", "ocsp", CONF_DURATION, AT(validity_ms[LEAF_OCSP]), DAYS(LEAF_DAYS_OCSP), NULL, "Longest validity of OCSP responders' certificates; nobody can revoke one."},
	{"limits", "operator", CONF_DURATION, AT(validity_ms[LEAF_OPERATOR]), DAYS(LEAF_DAYS_OPERATOR), NULL, "Longest validity of operators' client certificates."},
};

static int folders_check(const struct signer_conf *c, struct refusal *why)
{
	const char *cursor = c->folders;
	char        folder[CONF_PATH_SIZE];
	size_t      n = 0;

	for (; text_item(&cursor, folder, sizeof(folder)); n++)
		if (folder[0] != '/')
			return refuse(why, E_CONF_VALUE, "pkcs11.folders", "`%s` is not an absolute path", folder);
	if (cursor == NULL)
		return refuse(why, E_CONF_VALUE, "pkcs11.folders", "one of them is longer than %d bytes", CONF_PATH_SIZE - 1);
	return n <= SIGNER_FOLDERS_MAX ? 0 : refuse(why, E_CONF_VALUE, "pkcs11.folders", "%zu folders; it takes %d", n, SIGNER_FOLDERS_MAX);
}

static int signer_check(const void *conf, struct refusal *why)
{
	const struct signer_conf *c = conf;

	if (c->passphrase_file[0] != '\0' && c->passphrase_file[0] != '/')
		return refuse(why, E_CONF_VALUE, "signer.passphrase_file", "`%s` is not an absolute path", c->passphrase_file);
	if (c->log[0] != '\0' && c->log[0] != '/')
		return refuse(why, E_CONF_VALUE, "signer.log", "`%s` is not an absolute path", c->log);
	if (c->module[0] != '\0' && (c->module[0] != '/' || c->token[0] == '\0'))
		return refuse(why, E_CONF_VALUE, "pkcs11.module", "it needs an absolute path, and pkcs11.token beside it");
	if (c->pin_file[0] != '\0' && c->pin_file[0] != '/')
		return refuse(why, E_CONF_VALUE, "pkcs11.pin_file", "`%s` is not an absolute path", c->pin_file);
	if (!text_starts(c->public_url, "http://") || text_ends(c->public_url, "/"))
		return refuse(why, E_CONF_VALUE, "signer.public_url", "`%s` is not http://NAME[:PORT] without final slash", c->public_url);
	return folders_check(c, why);
}

const struct conf_schema signer_schema = {
	.program = "vcc-signer",
	.file = "signer.conf",
	.struct_size = sizeof(struct signer_conf),
	.keys = keys,
	.n_keys = N_ELEMENTS(keys),
	.check = signer_check,
};
