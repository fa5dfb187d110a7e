/* peer_conf.c - room shared/conf: reads agent.conf's peer.relies, alike for link and keeper.
 * Never: looking a name up. */
#include "shared/conf/peer_conf.h"

#include <stdio.h>
#include <string.h>

#include "shared/base/text.h"

enum { ENTRY_SIZE = CERT_ID_SIZE + ADDRESS_SIZE + DNS_NAME_SIZE + 32 };

static const char object[] = "peer.relies";

/* The next word, without the blanks around it. False: there is none, or it is too long. */
static bool word(const char **at, char *ret, size_t size)
{
	*at += strspn(*at, " \t");
	size_t n = strcspn(*at, " \t");
	if (n == 0 || text_copy_n(ret, size, *at, n) != 0)
		return false;
	*at += n;
	return true;
}

static bool address_ok(const char *text)
{
	int64_t     port;
	const char *colon = strrchr(text, ':');
	return colon != NULL && colon > text && text_i64(colon + 1, 1, UINT16_MAX, &port) == 0;
}

static int read_entry(const char *text, struct peer_told *ret, bool *ret_postgresql, struct refusal *why)
{
	struct peer_told row = {.cert_id = ""};
	char             asked[DNS_NAME_SIZE], how[16] = "";
	struct names     names;
	size_t           cursor = 0;
	struct san       san;
	const char      *at = text;
	bool             whole = word(&at, row.cert_id, sizeof(row.cert_id)) && word(&at, row.address, sizeof(row.address)) && word(&at, asked, sizeof(asked));
	bool             more = whole && word(&at, how, sizeof(how));
	if (!whole || at[strspn(at, " \t")] != '\0' || (more && !text_equal(how, "postgresql")))
		return refuse(why, E_CONF_VALUE, object, "`%.100s` is not CERT_ID HOST:PORT NAME [postgresql]", text);
	if (!name_cert_id_ok(row.cert_id))
		return refuse(why, E_CONF_VALUE, object, "`%s` is no certificate id", row.cert_id);
	if (!address_ok(row.address))
		return refuse(why, E_CONF_VALUE, object, "`%s` is not HOST:PORT", row.address);
	if (names_parse(asked, false, &names, NULL) != 0 || !names_next(&names, &cursor, &san))
		return refuse(why, E_CONF_VALUE, object, "`%.100s` is neither a DNS name nor an IP address", asked);
	text_cut(row.name, sizeof(row.name), san.text);
	*ret = row;
	*ret_postgresql = more;
	return 0;
}

const struct peer_told *peers_conf_find(const struct peers_conf *conf, const char *cert_id)
{
	for (size_t i = 0; i < conf->n; i++)
		if (text_equal(conf->row[i].cert_id, cert_id))
			return &conf->row[i];
	return NULL;
}

int peers_conf_read(const char *list, struct peers_conf *ret, struct refusal *why)
{
	char        entry[ENTRY_SIZE];
	const char *rest = list;
	ret->n = 0;
	while (text_item(&rest, entry, sizeof(entry))) {
		struct peer_told row;
		bool             postgresql = false;
		int              r = read_entry(entry, &row, &postgresql, why);
		if (r != 0)
			return r;
		if (peers_conf_find(ret, row.cert_id) != NULL)
			return refuse(why, E_CONF_VALUE, object, "`%s` stands there twice", row.cert_id);
		if (ret->n == PEERS_MAX)
			return refuse(why, E_CONF_VALUE, object, "more than %d entries", PEERS_MAX);
		ret->postgresql[ret->n] = postgresql;
		ret->row[ret->n++] = row;
	}
	if (rest == NULL)
		return refuse(why, E_CONF_VALUE, object, "an entry is longer than any CERT_ID HOST:PORT NAME [postgresql]");
	return 0;
}
