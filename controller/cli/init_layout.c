/* init_layout.c - room controller/cli: paths of an installation and the text of its configuration files.
 * Never: touching the disk. */
#include "controller/cli/init_layout.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "shared/base/text.h"

/* One row per path: below a folder, and in the system. */
static const struct place {
	size_t      offset;
	const char *below, *system;
} places[] = {
#define PLACE(field, below, system) {offsetof(struct init_layout, field), below, system}
	PLACE(controller_conf, "etc/controller.conf", CONTROLLER_CONF_PATH),
	PLACE(signer_conf, "etc/signer.conf", "/etc/vcc-signer/signer.conf"),
	PLACE(gateway_conf, "etc/gateway.conf", "/etc/vcc-gateway/gateway.conf"),
	PLACE(controller_state, "controller", "/var/lib/vcc-controller"),
	PLACE(signer_state, "signer", "/var/lib/vcc-signer"),
	PLACE(gateway_state, "gateway", "/var/lib/vcc-gateway"),
	PLACE(run, "run", ""),
	PLACE(ca_dir, "etc/ca", "/etc/vcc-controller/ca"),
	PLACE(ca_pem, "ca.pem", "/etc/vcc-controller/ca.pem"),
	PLACE(tokens, ".", "/var/lib/vcc-controller"),
	PLACE(passphrase, "etc/ca-passphrase", "/etc/vcc-signer/ca-passphrase"),
	PLACE(admin_socket, "run/admin.sock", "/run/vcc-controller/admin.sock"),
	PLACE(gateway_socket, "run/gateway.sock", "/run/vcc-controller/gateway.sock"),
	PLACE(signer_socket, "run/signer.sock", "/run/vcc-signer/signer.sock"),
	PLACE(notify_dir, "etc/notify.d", "/etc/vcc-controller/notify.d"),
	PLACE(installed, "etc/installation", "/etc/vcc-controller/installation"),
#undef PLACE
};

int init_layout_make(const char *folder, struct init_layout *ret)
{
	struct init_layout l = {.below = folder != NULL};

	for (size_t i = 0; i < N_ELEMENTS(places); i++) {
		const struct place *p = &places[i];
		char               *to = (char *)&l + p->offset;
		int                 n = 0;
		if (folder == NULL || strcmp(p->below, ".") == 0)
			n = snprintf(to, INIT_PATH, "%s", folder == NULL ? p->system : folder);
		else
			n = snprintf(to, INIT_PATH, "%s/%s", folder, p->below);
		if (n < 0 || n >= INIT_PATH)
			return E_FULL;
	}
	*ret = l;
	return 0;
}

int init_reached_at(const char *listen, const char *public_name, char ret[ADDRESS_SIZE])
{
	static const char *const any[] = {"", "*", "0.0.0.0", "[::]"};
	const char              *port = strrchr(listen, ':');

	if (port == NULL)
		return E_SYNTAX;
	for (size_t i = 0; i < N_ELEMENTS(any); i++)
		if (strlen(any[i]) == (size_t)(port - listen) && strncmp(any[i], listen, strlen(any[i])) == 0) {
			int n = snprintf(ret, ADDRESS_SIZE, "%s%s", public_name, port);
			return n > 0 && n < ADDRESS_SIZE ? 0 : E_FULL;
		}
	return text_copy(ret, ADDRESS_SIZE, listen);
}

static const char head[] = "# Written by `vccctl init`. Own settings belong into %s.d/*.conf; they win over these.\n";

int init_controller_text(const struct init_layout *l, const struct init_choice *c, struct buf *to)
{
	char agents[ADDRESS_SIZE], join[ADDRESS_SIZE];

	int r = init_reached_at(c->agent_listen, c->public_name, agents);
	if (r == 0)
		r = init_reached_at(c->join_listen, c->public_name, join);
	if (r < 0)
		return r;
	buf_add_fmt(to, head, "controller.conf");
	buf_add_fmt(to, "[controller]\nstate_dir = %s\ndomain = %s\npublic_name = %s\norganisation = %s\n", l->controller_state,
	            c->domains, c->public_name, c->organisation);
	buf_add_fmt(to, "[admin]\nlisten = %s\nsocket = %s\n", c->admin_listen, l->admin_socket);
	buf_add_fmt(to, "[public]\nlisten = %s\nurl = %s\n", c->public_listen, c->public_url);
	buf_add_fmt(to, "[gateway]\nsocket = %s\nuser = %s\nagent_address = %s\njoin_address = %s\n", l->gateway_socket,
	            l->below ? "" : "vcc-gateway", agents, join);
	if (l->below)
		buf_add_fmt(to, "[notify]\ndir = %s\n", l->notify_dir);
	buf_add_fmt(to, "[signer]\nsocket = %s\n", l->signer_socket);
	buf_add_fmt(to, "[contacts]\nadmin = %s\nsecurity = %s\n", c->contact_admin, c->contact_security);
	return buf_error(to);
}

void init_signer_text(const struct init_layout *l, const struct init_choice *c, struct buf *to)
{
	buf_add_fmt(to, head, "signer.conf");
	buf_add_fmt(to, "[signer]\nstate_dir = %s\nsocket = %s\npassphrase_file = %s\ncontroller_user = %s\npublic_url = %s\n",
	            l->signer_state, l->signer_socket, l->passphrase, l->below ? "" : "vcc-controller", c->public_url);
	buf_add_fmt(to, "[limits]\ndomains = %s\nip_ranges = %s\n", c->domains, c->ip_ranges);
}

void init_gateway_text(const struct init_layout *l, const struct init_choice *c, struct buf *to)
{
	buf_add_fmt(to, head, "gateway.conf");
	buf_add_fmt(to, "[gateway]\nlisten = %s\njoin_listen = %s\ncontroller_socket = %s\nstate_dir = %s\n", c->agent_listen,
	            c->join_listen, l->gateway_socket, l->gateway_state);
}
