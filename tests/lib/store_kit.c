/* store_kit.c - tests: a store of either backend in a folder of its own, changes that wait for their end, sample values.
 * Never: checks; those are the tests'. */
#include "tests/lib/store_kit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "controller/store/store_noun.h"
#include "shared/base/times.h"
#include "shared/pki/key.h"

static const int64_t START_AT = INT64_C(1700000000000);

static void wake(void *ctx)
{
	sem_post(&((struct kit *)ctx)->woken);
}

static void die(const char *what)
{
	fprintf(stderr, "store_kit: %s\n", what);
	abort();
}

int kit_try_open(struct kit *k, const char *path, bool create, struct refusal *why)
{
	struct store_options options = {.path = path, .hash = digest_sha256_two, .wake = wake, .wake_ctx = k, .create = create};
	memset(k, 0, sizeof(*k));
	k->backend = KIT_SQLITE;
	if (sem_init(&k->woken, 0, 0) != 0)
		die("no semaphore");
	int r = store_sqlite_open(&options, &k->store, why);
	if (r < 0)
		sem_destroy(&k->woken);
	return r;
}

static void open_store(struct kit *k, bool create)
{
	struct store_options options = {.path = k->path, .hash = digest_sha256_two, .wake = wake, .wake_ctx = k, .create = create};
	struct refusal       why = {.code = 0};
	int r = k->backend == KIT_MEM ? store_mem_open(&options, &k->store) : store_sqlite_open(&options, &k->store, &why);
	if (r < 0) {
		char text[600];
		die(refusal_text(&why, text, sizeof(text)));
	}
	if (store_view_open(k->store, &k->view) < 0)
		die("no view");
}

void kit_open(struct kit *k, enum kit_backend backend)
{
	memset(k, 0, sizeof(*k));
	k->backend = backend;
	if (sem_init(&k->woken, 0, 0) != 0)
		die("no semaphore");
	const char *base = getenv("TMPDIR");
	snprintf(k->folder, sizeof(k->folder), "%.180s/store-XXXXXX", base != NULL ? base : "/var/tmp");
	if (backend == KIT_SQLITE && mkdtemp(k->folder) == NULL)
		die("no folder");
	snprintf(k->path, sizeof(k->path), "%s/vcc.db", k->folder);
	open_store(k, true);
}

void kit_stop(struct kit *k)
{
	store_view_close(k->view);
	store_close(k->store);
	k->view = NULL;
	k->store = NULL;
}

void kit_start(struct kit *k)
{
	open_store(k, false);
}

void kit_shut(struct kit *k)
{
	kit_stop(k);
	sem_destroy(&k->woken);
}

void kit_close(struct kit *k)
{
	static const char *const names[] = {"vcc.db", "vcc.db-wal", "vcc.db-shm", "vcc.db.lock"};
	char                     path[256];
	kit_shut(k);
	if (k->backend == KIT_MEM)
		return;
	for (size_t i = 0; i < N_ELEMENTS(names); i++) {
		snprintf(path, sizeof(path), "%s/%s", k->folder, names[i]);
		unlink(path);
	}
	rmdir(k->folder);
}

void kit_poll(struct kit *k)
{
	struct timespec until;
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += 60;
	while (sem_timedwait(&k->woken, &until) != 0)
		if (time(NULL) > until.tv_sec)
			die("the store does not answer");
	store_poll(k->store);
}

struct wait {
	bool                ended;
	int                 code;
	struct store_result result;
};

static void ended(void *ctx, int code, const struct store_result *result)
{
	struct wait *w = ctx;
	*w = (struct wait){true, code, *result};
}

static int setup(void **state, enum kit_backend backend)
{
	static struct kit k;
	kit_open(&k, backend);
	*state = &k;
	return 0;
}

int kit_setup_mem(void **state)
{
	return setup(state, KIT_MEM);
}

int kit_setup_sqlite(void **state)
{
	return setup(state, KIT_SQLITE);
}

int kit_teardown(void **state)
{
	kit_close(*state);
	return 0;
}

int kit_commit(struct kit *k, struct store_change *c, struct store_result *ret)
{
	struct wait w = {.ended = false};
	store_change_salt(c, kit_hash(1000 + k->commits++));
	int         r = store_submit(k->store, c, ended, &w);
	if (r < 0)
		return r;
	while (!w.ended)
		kit_poll(k);
	if (ret != NULL)
		*ret = w.result;
	return w.code;
}

struct id kit_id(uint32_t n)
{
	static const uint8_t random[ID_RANDOM] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
	return id_make(START_AT + n, random);
}

struct hash kit_hash(uint32_t n)
{
	struct hash h;
	digest_sha256_two(&n, sizeof(n), "kit", 3, &h);
	return h;
}

struct serial kit_serial(uint32_t n)
{
	struct hash h = kit_hash(n);
	return serial_make(n + UINT64_C(1), h.b);
}

static void names_of(uint32_t n, struct names *ret)
{
	snprintf(ret->text, sizeof(ret->text), "DNS:a%u.clara.vcc.internal,DNS:b%u.clara.vcc.internal", n, n);
}

/* Rows are compared whole, and clang leaves what it likes between the members of a literal. gcc's runs show that no member lacks its column. */
static void tidy(const struct noun *noun, void *row)
{
#ifdef __clang__
	uint8_t clean[1 << 14] = {0};
	for (size_t i = 0; i < noun->n_columns; i++) {
		const struct column *c = &noun->column[i];
		memcpy(clean + c->at, (uint8_t *)row + c->at, c->size);
		if (c->kind == COLUMN_BYTES)
			memcpy(clean + c->length_at, (uint8_t *)row + c->length_at, sizeof(uint16_t));
	}
	memcpy(row, clean, noun->size);
#else
	(void)noun;
	(void)row;
#endif
}

void kit_certificate(uint32_t n, struct certificate *ret)
{
	*ret = (struct certificate){
		.template_id = "clara_service_auth",
		.template_version = 2 + n,
		.service = "clara",
		.approved = n % 2 == 0,
		.serial = kit_serial(n),
		.fingerprint = kit_hash(n + 1),
		.not_before_at = START_AT + n,
		.not_after_at = START_AT + 730 * MS_DAY + n,
		.proved = n % 2 == 1,
		.renew_at = START_AT + 670 * MS_DAY + n,
		.alert_at = START_AT + 720 * MS_DAY + n,
		.open_order = kit_id(n),
		.unattended = 3 + n,
		.suspended_at = START_AT + 1 + n,
		.revoked_at = START_AT + 2 + n,
		.retired_at = START_AT + 3 + n,
		.created_at = START_AT - 1 - n,
	};
	snprintf(ret->cert_id, sizeof(ret->cert_id), "clara%06u-web", n);
	snprintf(ret->agent, sizeof(ret->agent), "clara%06u", n);
	names_of(n, &ret->names);
	tidy(&noun_certificate, ret);
}

void kit_issuance(uint32_t n, struct issuance *ret)
{
	*ret = (struct issuance){
		.serial = kit_serial(n),
		.issuer_id = "service-1",
		.owner = (enum issuance_owner)(n % 4),
		.renewal_id = kit_id(n),
		.state = (enum issuance_state)(n % ISSUANCE_STATE_COUNT),
		.tbs_hash = kit_hash(n + 2),
		.fingerprint = kit_hash(n + 1),
		.spki_hash = kit_hash(n + 3),
		.not_before_at = START_AT + n,
		.not_after_at = START_AT + 730 * MS_DAY + n,
		.crl_shard = n / 7 + 1,
		.created_at = START_AT + 5 + n,
		.proved_at = START_AT + 6 + n,
		.supersede_at = START_AT + 7 + n,
		.revoked_at = START_AT + 8 + n,
		.revoke_reason = REASON_SUPERSEDED,
		.der_len = (uint16_t)(700 + n % 50),
		.held_at = START_AT + 9 + n,
		.revoke_asked_at = START_AT + 10 + n,
		.drill = n % 3 == 0,
	};
	snprintf(ret->owner_id, sizeof(ret->owner_id), "clara%06u-web", n);
	snprintf(ret->subject, sizeof(ret->subject), "O=Example,CN=a%u.clara.vcc.internal", n);
	for (uint16_t i = 0; i < ret->der_len; i++)
		ret->der[i] = (uint8_t)(i * 7 + n);
	tidy(&noun_issuance, ret);
}

void kit_order(uint32_t n, struct order *ret)
{
	*ret = (struct order){
		.renewal_id = kit_id(n),
		.service = "clara",
		.trigger = (enum trigger)(n % TRIGGER_COUNT),
		.phase = (enum order_phase)(n % ORDER_PHASE_COUNT),
		.attempt = 1 + n,
		.failures = 2 + n,
		.flags = ORDER_DRAINING | ORDER_FORCED,
		.old_serial = kit_serial(n + 100),
		.serial = kit_serial(n),
		.tbs_hash = kit_hash(n + 2),
		.fingerprint = kit_hash(n + 1),
		.spki_hash = kit_hash(n + 3),
		.template_version = 4 + n,
		.code = E_SWAP_STALE,
		.campaign_id = kit_id(n + 500),
		.created_at = START_AT + n,
		.deadline_at = START_AT + MS_HOUR + n,
		.next_at = START_AT + MS_MINUTE + n,
		.verified_at = START_AT + 10 + n,
		.completed_at = START_AT + 11 + n,
	};
	snprintf(ret->cert_id, sizeof(ret->cert_id), "clara%06u-web", n);
	snprintf(ret->agent, sizeof(ret->agent), "clara%06u", n);
	snprintf(ret->cause, sizeof(ret->cause), "reload ended with status %u", n);
	snprintf(ret->actor, sizeof(ret->actor), "alice%u", n);
	tidy(&noun_order, ret);
}

void kit_target(uint32_t n, struct target *ret)
{
	*ret = (struct target){
		.reload_kind = "signal",
		.verify_kind = "tls",
		.listeners = "127.0.0.1:443,[::1]:443",
		.digest = kit_hash(n),
		.served = kit_serial(n),
		.proved_at = START_AT + n,
		.reported_at = START_AT + 1 + n,
		.last_code = E_SWAP_STALE,
		.state_code = E_SWAP_WRONG,
		.stale_since_at = START_AT + 2 + n,
		.rehearsed_at = START_AT + 3 + n,
		.drifted_at = START_AT + 4 + n,
		.drifts = 5 + n,
		.trust_epoch = 6 + n,
		.trust_proof = 1,
		.crl_hash = kit_hash(n + 7),
		.cared_at = START_AT + 8 + n,
	};
	snprintf(ret->cert_id, sizeof(ret->cert_id), "clara%06u-web", n);
	snprintf(ret->agent, sizeof(ret->agent), "clara%06u", n);
	snprintf(ret->stem, sizeof(ret->stem), "web");
	target_id_of(ret->agent, ret->cert_id, ret->stem, ret->target_id);
	tidy(&noun_target, ret);
}

void kit_inventory(uint32_t n, struct inventory *ret)
{
	*ret = (struct inventory){
		.host_hash = kit_hash(n),
		.digest = kit_hash(n + 1000),
		.observed_at = START_AT + n,
		.reported_at = START_AT + 5 + n,
		.found = n + 2,
	};
	snprintf(ret->agent, sizeof(ret->agent), "clara%06u", n);
	tidy(&noun_inventory, ret);
}

void kit_listener(uint32_t n, struct inventory_listener *ret)
{
	*ret = (struct inventory_listener){
		.program = "nginx",
		.user = "root",
		.unit = "nginx.service",
		.starttls = n % 2 == 1,
		.fingerprint = kit_hash(n),
		.subject = "CN=clara.vcc.internal",
		.issuer = "CN=somebody",
		.names = "DNS:clara.vcc.internal,IP:192.0.2.1",
		.n_names = 2 + n,
		.not_before_at = START_AT - n,
		.not_after_at = START_AT + MS_DAY + n,
		.self_signed = n % 2 == 0,
		.chain = 1 + n,
	};
	snprintf(ret->address, sizeof(ret->address), "192.0.2.%03u:443", n % 250);
	tidy(&noun_listener, ret);
}

void kit_agent(uint32_t n, struct agent *ret)
{
	*ret = (struct agent){
		.service = "clara",
		.state = AGENT_ACTIVE,
		.host_hash = kit_hash(n),
		.host_spki_len = 91,
		.identity = kit_serial(n),
		.identity_not_after_at = START_AT + 7 * MS_DAY + n,
		.receipt_seq = 17 + n,
		.version = "0.1.0",
		.joined_at = START_AT + n,
		.seen_at = START_AT + 1 + n,
		.skew_ms = -250 - (int64_t)n,
		.run = {.run_id = kit_id(n), .generation = 3 + n, .before_id = kit_id(n + 1), .copy = (enum agent_copy)(n % COPY_COUNT)},
		.copy_at = START_AT + 2 + n,
	};
	snprintf(ret->name, sizeof(ret->name), "clara%06u", n);
	snprintf(ret->address, sizeof(ret->address), "192.0.2.%u:51820", n % 250 + 1);
	snprintf(ret->copy_address, sizeof(ret->copy_address), "192.0.2.%u:51821", n % 250 + 1);
	names_of(n, &ret->patterns);
	for (uint16_t i = 0; i < ret->host_spki_len; i++)
		ret->host_spki[i] = (uint8_t)(i + n);
	tidy(&noun_agent, ret);
}

void kit_invite(uint32_t n, struct invite *ret)
{
	struct hash key = kit_hash(n + 9000);
	*ret = (struct invite){
		.invite_id = kit_id(n),
		.service = "clara",
		.created_at = START_AT + n,
		.expires_at = START_AT + 15 * MS_MINUTE + n,
		.used_at = START_AT + 1 + n,
		.used_by = kit_hash(n),
		.actor = "alice",
	};
	memcpy(ret->token_key, key.b, sizeof(ret->token_key));
	snprintf(ret->name, sizeof(ret->name), "clara%06u", n);
	names_of(n, &ret->patterns);
	tidy(&noun_invite, ret);
}

void kit_template(uint32_t n, struct template *ret)
{
	*ret = (struct template){
		.name = "Clara service",
		.description = "Mutual TLS of the clara service",
		.validity_ms = 730 * MS_DAY + n,
		.key_type = (enum key_type)(n % KEY_TYPE_COUNT),
		.hash_alg = (enum hash_alg)(n % HASH_ALG_COUNT),
		.key_usage = KU_DIGITAL_SIGNATURE,
		.ext_key_usage = EKU_SERVER_AUTH | EKU_CLIENT_AUTH,
		.service = "clara",
		.purpose = (enum cert_purpose)(n % PURPOSE_COUNT),
		.auto_renewal = true,
		.renewal_threshold_ms = 60 * MS_DAY,
		.emergency_threshold_ms = 7 * MS_DAY,
		.max_renewals = 5,
		.max_attempts = 3,
		.retry_ms = MS_HOUR,
		.pre_validation = true,
		.post_validation = true,
		.profiles = PROFILE_GDPR | PROFILE_AI_ACT,
		.audit_level = AUDIT_ENHANCED,
		.notify = "ops@example.org",
		.escalation = "lead@example.org",
		.issuer = "default",
		.created_at = START_AT + n,
	};
	snprintf(ret->template_id, sizeof(ret->template_id), "template_%03u", n);
	names_of(n, &ret->patterns);
	tidy(&noun_template, ret);
}

void kit_issuer(uint32_t n, struct issuer *ret)
{
	*ret = (struct issuer){
		.parent_id = "root-1",
		.role = ISSUER_SERVICE,
		.key_type = KEY_EC_P256,
		.not_before_at = START_AT + n,
		.not_after_at = START_AT + 1095 * MS_DAY + n,
		.der_len = 600,
		.crl_number = 40 + n,
		.retired = true,
		.standing = ISSUER_DRAINS,
		.successor_id = "service-99",
	};
	snprintf(ret->issuer_id, sizeof(ret->issuer_id), "service-%u", n);
	for (uint16_t i = 0; i < ret->der_len; i++)
		ret->der[i] = (uint8_t)(i + n);
	tidy(&noun_issuer, ret);
}

void kit_audit(uint32_t n, enum audit_event event, struct audit *ret)
{
	*ret = (struct audit){.at = START_AT + n, .event = event, .renewal_id = kit_id(n), .request_id = kit_id(n + 77)};
	snprintf(ret->actor, sizeof(ret->actor), "alice%u", n);
	snprintf(ret->reason, sizeof(ret->reason), "because of %u", n);
	snprintf(ret->object, sizeof(ret->object), "clara%06u-web", n);
	snprintf(ret->detail, sizeof(ret->detail), "{\"attempt\":%u}", n);
}

void kit_step(uint32_t n, uint32_t order, struct order_step_row *ret)
{
	*ret = (struct order_step_row){
		.renewal_id = kit_id(order),
		.attempt = 1 + n,
		.step = (enum workflow_step)(n % STEP_COUNT),
		.code = E_HOOK_FAILED,
		.at = START_AT + n,
		.took_ms = 12 + n,
	};
	snprintf(ret->detail, sizeof(ret->detail), "step %u", n);
}
