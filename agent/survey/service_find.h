/* service_find.h - room agent/survey: the TLS services of this host: each pair of certificate and key that a running server is
 * configured with, with its listeners, names, what lies on disk, what is served, and who renews it today.
 * Never: changing anything. */
#ifndef VCC_SERVICE_FIND_H
#define VCC_SERVICE_FIND_H

#include "agent/survey/host_facts.h"
#include "agent/survey/observe.h"
#include "agent/survey/renewer.h"
#include "agent/survey/server.h"

enum { SERVERS_MAX = 32, SERVICES_MAX = 64, SERVICE_LISTENERS_MAX = 16, SERVICE_PROBLEM_SIZE = 200 };

struct service_listener {
	char        address[ADDRESS_SIZE]; /* where it is asked */
	struct look look;                  /* with the service's name */
};

struct found_service {
	char           name[CERT_ID_SIZE]; /* what a person calls it: the stem of its target file */
	struct server *server;
	size_t         site[SITES_MAX]; /* rows of the server's configuration with this pair */
	size_t         n_sites;
	char           cert[SOURCE_PATH_SIZE], key[SOURCE_PATH_SIZE], chain[SOURCE_PATH_SIZE]; /* key "" = in cert's file */
	struct look    disk; /* the certificate file; result LOOK_UNKNOWN: it cannot be read */
	struct service_listener listener[SERVICE_LISTENERS_MAX];
	size_t                  n_listeners;
	size_t                  n_others;                   /* listeners of its configuration that serve something else */
	char                    own_names[NAMES_TEXT_SIZE]; /* server names, else those of the certificate; comma list */
	char                    sni[DNS_NAME_SIZE];         /* server name to ask for, or "" */
	bool                    managed;                    /* it reads current/ of a target folder of ours already */
	struct renewer          renewer;
	char                    problem[SERVICE_PROBLEM_SIZE]; /* why it cannot be managed; "" = it can */
};

struct found {
	struct observation    observation;
	struct server        *server[SERVERS_MAX]; /* each on the heap: its words point into itself */
	size_t                n_servers;
	struct found_service *service;
	size_t                n_services;
};

/* Observes, reads configurations, asks each listener by its name. `targets` is the folder of our target folders, "" = not
 * known. `ret` is to be freed in any case. E_SYS_IO, E_NOMEM. */
_must_check_ int service_find(const char *targets, struct found *ret, struct refusal *why);
void             found_free(struct found *f);

/* NULL: there is no such service. */
struct found_service *found_name(const struct found *f, const char *name);

#endif
