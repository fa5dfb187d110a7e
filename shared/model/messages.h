/* messages.h - room shared/model: the payloads of every protocol message as plain values.
 * A field's size here is its limit on the wire. `struct span` fields point into the received frame (or, when sending,
 * at the sender's bytes) and live as long as it. Never: encoding; that is shared/wire. */
#ifndef VCC_MESSAGES_H
#define VCC_MESSAGES_H

#include "shared/base/buf.h"
#include "shared/model/agent.h"
#include "shared/model/audit.h"
#include "shared/model/inventory.h"
#include "shared/model/order.h"
#include "shared/model/peer.h"

enum {
	FRAME_MAX = 65536,         /* agent frames */
	FRAME_BEFORE_WELCOME = 4096,
	MSG_TEXT_SIZE = 200,       /* human texts in messages */
	MSG_STEPS_MAX = 24,
	MSG_LISTENERS_MAX = 16,
	MSG_SIGNATURE_MAX = 144,   /* ECDSA P-256 DER fits in 72 */
	MSG_CSR_MAX = 2048,
	MSG_ROOTS_MAX = 4,
	CHALLENGE_MAX = 64,
	MSG_LISTS_MAX = 16 << 20,  /* all revocation lists as PEM: hosts take no more */
};

/* ---- agent -> controller ------------------------------------------------------------------------------------- */

struct msg_hello {
	char        version[24];
	char        name[AGENT_NAME_SIZE];
	struct hash host_hash;
	struct id   boot_id;    /* of the keeper's run */
	uint64_t    generation; /* grows with each keeper start: tells clones apart */
	int64_t     now_at;     /* the keeper's clock */
	uint64_t    bundle_epoch;
	uint32_t    targets;
	uint64_t    head_size; /* of the newest audit head that the host keeps; 0 = none */
	struct hash head_root;
};

/* A target file's proposal, or its end. Repeated after every welcome. */
struct msg_target {
	char          cert_id[CERT_ID_SIZE];
	char          service[SERVICE_SIZE];
	char          template_id[TEMPLATE_ID_SIZE];
	char          stem[CERT_ID_SIZE];
	char          names[NAMES_TEXT_SIZE]; /* struct names text */
	char          reload_kind[16];
	char          verify_kind[24];
	char          listeners[512];
	struct hash   digest;
	struct serial served; /* serial of the generation in current/, none = nothing of ours */
	bool          retired;
	bool          last; /* and with it the certificate's last target on this host */
	int           code;           /* what the last look at the listeners found, or the care for the files; 0 = all is well */
	int64_t       stale_since_at; /* another certificate than the issued one is served since; 0 = not */
	int64_t       rehearsed_at;   /* last time that a rehearsal went well; 0 = never */
	int64_t       drifted_at;     /* last time that somebody changed the files; 0 = never */
	uint64_t      drifts;
	char          window[512];    /* maintenance windows; "" = always */
};

/* A live event: somebody changed a file of ours; may be lost. The receipt of the repair is the account of it. */
struct msg_drift {
	char     cert_id[CERT_ID_SIZE];
	char     stem[CERT_ID_SIZE];
	char     file[24];
	uint32_t kind;  /* of the first file */
	uint32_t files; /* how many differ */
	uint32_t uid, mode, links; /* as found */
	int64_t  changed_at; /* by the file system's clock */
	int64_t  seen_at;
	bool     rival; /* a second writer undoes the repairs */
};

/* Signed requests: `body` is an encoded body_* message (below), `signature` is by the host key over
 * label || 0x00 || body. Nothing is parsed from `body` before the signature has been checked. */
struct msg_signed {
	struct span body;
	struct span signature;
};
#define LABEL_CSR      "vcc csr v1"
#define LABEL_IDENTITY "vcc identity v1"
#define LABEL_RECEIPT  "vcc receipt v1"
#define LABEL_JOIN     "vcc join v1"
#define LABEL_INVENTORY "vcc inventory v1"
#define LABEL_RETURN   "vcc return v1"
#define LABEL_STAGE    "vcc stage v1"
#define LABEL_RELIES   "vcc relies v1"
#define LABEL_PEER_SAW "vcc peer saw v1"

struct body_csr {
	struct id   renewal_id;
	uint32_t    attempt;
	char        cert_id[CERT_ID_SIZE];
	int64_t     made_at;
	struct span csr; /* PKCS#10 DER; only key and proof of possession are used */
};

/* The next key of a certificate, made before anybody orders one. An order that finds it checked begins with the certificate. */
struct body_stage {
	char        cert_id[CERT_ID_SIZE];
	int64_t     made_at;
	struct span csr; /* PKCS#10 DER; only key and proof of possession are used */
};

/* What the host's owner has declared that its services rely on: all of it, each time. */
struct body_relies {
	int64_t          made_at;
	uint32_t         n_rows;
	struct peer_told rows[PEERS_MAX];
};

/* What a relying party saw from its own host, and how it judges that by the roots that it holds. */
struct body_peer_saw {
	struct id   renewal_id; /* as asked */
	uint32_t    attempt;
	char        cert_id[CERT_ID_SIZE];
	struct hash fingerprint; /* that it was to find */
	struct hash seen;        /* that it found, or the first other one; none = no answer */
	int         code;        /* 0, E_PEER_* */
	char        cause[CAUSE_SIZE];
	uint32_t    handshakes, others;
	uint64_t    trust_epoch;
	int64_t     made_at;
};

struct body_identity {
	char        name[AGENT_NAME_SIZE];
	int64_t     made_at;
	struct span csr; /* PKCS#10 DER of the link key */
};

/* Every TLS listener of the host, whoever manages it. Large: on the heap. */
struct body_inventory {
	int64_t                   observed_at;
	uint32_t                  found; /* also those that did not fit */
	uint32_t                  n_rows;
	struct inventory_listener rows[INVENTORY_MAX];
};

/* A live event between the durable steps; may be lost. */
struct msg_step {
	struct id renewal_id;
	uint32_t  attempt;
	uint32_t  step; /* enum workflow_step */
	int       code;
	int64_t   at;
};

/* Why the keeper cares for a target between orders. In receipts: numbers are fixed for ever. The order is the priority: the first that applies is done. */
enum refresh_reason {
	REFRESH_ORDER = 0, /* none of these: a receipt of an order */
	REFRESH_REPAIR,    /* a file, its mode, owner or links, or `current` itself was changed by somebody */
	REFRESH_CONTENT,   /* other trust files, revocation lists or [files] settings; or a place that is new in its group */
	REFRESH_PROVE,     /* what is in place was not yet proved */
	REFRESH_HEAL,      /* a listener serves another certificate than the issued one */
	REFRESH_REHEARSE,  /* would a renewal work now? Nothing is changed */
	REFRESH_REASON_COUNT,
};
const char *refresh_reason_name(enum refresh_reason r);

/* What somebody changed. */
enum drift_kind { DRIFT_NONE, DRIFT_LINK, DRIFT_MISSING, DRIFT_BYTES, DRIFT_TYPE, DRIFT_MODE, DRIFT_OWNER, DRIFT_LINKS, DRIFT_COPY, DRIFT_ADDED, DRIFT_KIND_COUNT };
const char *drift_kind_name(enum drift_kind k);

/* How sure is it that a service uses the trust files that lie there? */
enum trust_proof {
	TRUST_UNPROVED, /* nobody was told, or nobody can tell */
	TRUST_RELOADED, /* the service was told to read them, and did not refuse */
	TRUST_PROVED,   /* every listener asks clients for certificates of exactly these roots */
	TRUST_PROOF_COUNT,
};
const char *trust_proof_name(enum trust_proof p);

enum receipt_outcome {
	RECEIPT_VERIFIED,    /* new certificate served on every listener, 3 in a row */
	RECEIPT_SETTLED,     /* 20 in a row and >= 500 ms after the last old answer: the order can complete */
	RECEIPT_FAILED,      /* new one not served, old pair is back (or was never left): a new attempt may follow */
	RECEIPT_REFUSED,     /* the answer was refused before anything was written */
	RECEIPT_KEPT,        /* new pair kept though it is not proved (old one was invalid or not serving) */
	RECEIPT_TESTED,      /* a drill came to its end: checked, written, tested, never in use; key and files are destroyed */
	RECEIPT_OUTCOME_COUNT,
};
const char *receipt_outcome_name(enum receipt_outcome o);

struct receipt_step {
	uint32_t step; /* enum workflow_step */
	int      code;
	int64_t  at;
	int64_t  took_ms;
	char     detail[CAUSE_SIZE];
};

struct receipt_listener {
	char        address[ADDRESS_SIZE];
	struct hash fingerprint; /* last seen; none = no answer */
	bool        proved;
};

/* The agent's signed account of one deployment. */
struct body_receipt {
	uint64_t                seq; /* per agent, grows by 1; the ack names it */
	struct id               renewal_id;
	uint32_t                attempt;
	char                    cert_id[CERT_ID_SIZE];
	uint32_t                outcome; /* enum receipt_outcome */
	struct hash             fingerprint;     /* of the new certificate; none when refused */
	struct hash             old_fingerprint; /* served before; none = nothing of ours */
	struct serial           serial;
	uint64_t                generation; /* gNNNNNN */
	int                     code;
	char                    cause[CAUSE_SIZE];
	uint32_t                flags;          /* ORDER_* flags seen on the host */
	uint64_t                probes;         /* handshakes of the probe stream, from before the flip on */
	uint64_t                probes_failed;
	int64_t                 flipped_at;
	int64_t                 first_new_at;
	int64_t                 last_old_at;
	int64_t                 made_at;
	int                     hook_status;    /* exit status or -signal; a hint, never a proof */
	/* Without an order (renewal_id none): the care for one target between orders. */
	char                    stem[CERT_ID_SIZE];
	uint32_t                reason;      /* enum refresh_reason; 0 = an order */
	uint64_t                trust_epoch; /* of the trust bundle in the files that this is about; 0 = not the newest that the host knows */
	uint32_t                trust_proof; /* enum trust_proof */
	struct hash             crl_hash;    /* of the revocation lists in those files; none = none */
	uint32_t                n_steps;
	struct receipt_step     steps[MSG_STEPS_MAX];
	uint32_t                n_listeners;
	struct receipt_listener listeners[MSG_LISTENERS_MAX];
	uint32_t                old_workers; /* processes from before the reload that still hold connections */
	int64_t                 oldest_ms;   /* age of the oldest of them */
};

/* Why a host is not green. Bits are in messages: numbers are fixed for ever, new ones come at the end. */
enum {
	HEALTH_CLOCK = 1 << 0,     /* the host's clock differs by more than 5 min: it judges by the controller's */
	HEALTH_STALE = 1 << 1,     /* issued but not served */
	HEALTH_DOWN = 1 << 2,      /* a listener does not answer */
	HEALTH_REHEARSAL = 1 << 3, /* a rehearsal failed, or none went well for too long */
	HEALTH_WATCH = 1 << 4,     /* changes of files are found by the clock alone */
	HEALTH_FILES = 1 << 5,     /* a target's files cannot be cared for, or a second writer undoes the repairs */
	HEALTH_TARGETS = 1 << 6,   /* a target file cannot be used, or the controller refuses it */
	HEALTH_JOURNAL = 1 << 7,   /* the journal cannot be written: nothing can be decided */
	HEALTH_LISTS = 1 << 8,     /* a target wants revocation lists, and there are no good ones */
	HEALTH_BITS = 9,
};
/* Of one bit, by its number: "rehearsal". Numbers of newer hosts are "unknown". */
const char *health_name(unsigned bit);
struct msg_health {
	int64_t  now_at;
	int64_t  skew_ms;
	uint32_t targets;
	uint32_t stale;    /* issued but not served */
	uint32_t degraded; /* HEALTH_*; 0 = green */
};

/* Both ways. Agent: the order or certificate `id` is in the journal. Controller: message `id` (and, for receipts, `seq`)
 * is committed. A negative `code` refuses it for good and says why. */
struct msg_ack {
	uint64_t id;
	uint64_t seq; /* receipts only, else 0 */
	int      code;
	char     text[MSG_TEXT_SIZE];
};

/* ---- controller -> agent ------------------------------------------------------------------------------------- */

/* Repeatable. "Connected" begins here. */
struct msg_welcome {
	struct id epoch; /* of this controller run */
	char      agent[AGENT_NAME_SIZE];
	int64_t   now_at;
	uint64_t  receipt_seq;           /* highest durable receipt of this agent */
	int64_t   identity_not_after_at; /* of the connection's certificate */
	uint64_t  bundle_epoch;
	bool      renew_identity; /* who signed it gives way: the link asks for another one now */
};

/* Also a drill: the certificate is checked, written and tested, and destroyed with its key before any flip. */
struct msg_order {
	struct id        renewal_id;
	uint32_t         attempt;
	char             cert_id[CERT_ID_SIZE];
	uint32_t         trigger;  /* enum trigger */
	uint32_t         key_type; /* enum key_type */
	char             names[NAMES_TEXT_SIZE];
	char             common_name[SUBJECT_SIZE];
	int64_t          deadline_at;
	bool             post_validation; /* a failed test or probe rolls back */
	bool             any_time;        /* maintenance windows do not count: emergency, forced, or hardly any time left */
	bool             pre_validation;  /* what the host finds before it makes a key ends the attempt; else it is a warning */
	char             window[SERVICE_WINDOWS_SIZE]; /* of the service, beside those of the target files; "" = any time */
};

struct msg_certificate {
	struct id   renewal_id;
	uint32_t    attempt;
	char        cert_id[CERT_ID_SIZE];
	uint32_t    trigger;
	int64_t     deadline_at;
	bool        post_validation;
	bool        any_time;
	struct hash stage; /* SPKI hash of the key that this certificate is for */
	struct span certificate; /* DER */
	struct span chain;       /* intermediates, DER one after the other, without the root */
	char        window[SERVICE_WINDOWS_SIZE];
	/* What an order would have said. With `staged` none was sent: the key is the one that the host had staged, and a host without it
	 * refuses with E_STAGE_GONE. */
	bool        staged;
	uint32_t    key_type;       /* enum key_type */
	bool        pre_validation; /* what the host finds before it begins ends the attempt; else it is a warning */
	char        names[NAMES_TEXT_SIZE];
	char        common_name[SUBJECT_SIZE];
};

/* The host is to have another next key of this certificate, or none. Any that is not for an order under way is destroyed. */
struct msg_restage {
	char        cert_id[CERT_ID_SIZE];
	bool        wanted;    /* false: no next key is kept ready */
	uint32_t    key_type;  /* enum key_type */
	uint32_t    spread_ms; /* it is made at a random time within this, so that a fleet does not come at once */
};

/* Trust bundle: `body` is an encoded body_bundle, each signature by a root key over LABEL_BUNDLE || 0x00 || body. */
#define LABEL_BUNDLE "vcc bundle v1"
struct bundle_signature {
	struct hash key; /* SPKI hash of the signing root */
	struct span signature;
};
struct msg_bundle {
	struct span             body;
	uint32_t                n_signatures;
	struct bundle_signature signatures[MSG_ROOTS_MAX];
};
struct bundle_root {
	struct span certificate; /* DER */
};
struct body_bundle {
	uint64_t           epoch;
	struct hash        previous; /* SHA-256 of the previous body; none for the first */
	uint32_t           threshold;
	int64_t            made_at;
	uint32_t           n_roots;
	struct bundle_root roots[MSG_ROOTS_MAX];
};

/* Other revocation lists are published: all of them in one file, which hosts that need them fetch from the public listener. After
 * each welcome and on change; not stored, not acked. */
struct msg_crl {
	struct hash hash;      /* SHA-256 of the file; the address is for this content alone */
	uint64_t    size;
	int64_t     made_at;
	uint32_t    spread_ms; /* hosts fetch at a random time within it, so that many do not come at once */
};

/* A head of the controller's audit trail, for the host to keep: who rewrites the trail later would have to rewrite every host. Shown to some
 * agents in turns; answered by agent_ack, with code E_AUDIT_HEAD_KEPT where the host keeps one that contradicts it. */
struct msg_head {
	uint64_t    size;
	struct hash root;
	int64_t     at;
	struct span certificate; /* DER of the authority that signed it; a root of the bundle is above it */
	struct span signature;
};

struct msg_identity {
	struct span certificate; /* DER, for the link key */
	struct span chain;       /* DER one after the other */
};

struct msg_cancel {
	struct id renewal_id;
	uint32_t  attempt;
	int       code;
	char      cert_id[CERT_ID_SIZE]; /* a host that has not heard of the order yet has to answer all the same */
};

/* Look at what this certificate is served by, as a relying party. Where that is stands in the host's own file and in no message: nobody who
 * holds the controller can make a host speak to a place that its owner has not named. */
struct msg_peer_look {
	struct id     renewal_id; /* none: a person asks */
	uint32_t      attempt;
	char          cert_id[CERT_ID_SIZE];
	struct hash   fingerprint; /* to be found */
	struct serial old_serial;  /* of the certificate before it; none = there was none */
};

struct msg_bye {
	int  code;
	char text[MSG_TEXT_SIZE];
};

/* ---- join port: POST /join ----------------------------------------------------------------------------------- */

/* `body` is an encoded body_join; three signatures over LABEL_JOIN || 0x00 || body: by the token key (Ed25519), the host
 * key and the link key. */
struct msg_join {
	struct span body;
	struct span token_key; /* 32 bytes: which invite */
	struct span token_signature;
	struct span host_signature;
	struct span link_signature;
};
struct body_join {
	struct hash pin; /* SHA-256 of the root certificate the client saw */
	char        name[AGENT_NAME_SIZE];
	struct span host_spki;
	struct span link_spki;
	int64_t     made_at;
	char        version[24];
};
struct msg_join_reply {
	int         code; /* 0 or why not */
	char        text[MSG_TEXT_SIZE];
	char        agent[AGENT_NAME_SIZE];
	char        service[SERVICE_SIZE];
	char        domain[DNS_NAME_SIZE];
	char        address[ADDRESS_SIZE]; /* of the agents' port */
	char        names[NAMES_TEXT_SIZE]; /* the invite's patterns: what this host may ask for */
	int64_t     now_at;
	struct span certificate; /* link identity, DER */
	struct span chain;
	struct span bundle; /* encoded msg_bundle frame */
};

/* Coming back after the identity has ended: first a challenge, so that no old request can be played again. */
struct msg_return_ask {
	char agent[AGENT_NAME_SIZE];
};
struct msg_challenge {
	int64_t     now_at;
	struct span challenge; /* opaque; good for a minute */
};
/* `body` is an encoded body_return; two signatures over LABEL_RETURN || 0x00 || body: by the host key and the link key. The
 * answer is a msg_join_reply. */
struct msg_return {
	char        agent[AGENT_NAME_SIZE]; /* whose host key the signature is checked with */
	struct span body;
	struct span host_signature;
	struct span link_signature;
};
struct body_return {
	struct hash pin; /* SHA-256 of the root certificate that the host trusts */
	char        name[AGENT_NAME_SIZE];
	struct hash host_hash;
	struct span link_spki; /* of the new link key */
	struct span challenge;
	int64_t     made_at; /* by the host's clock: shown, never judged */
	char        version[24];
};

/* ---- gateway <-> controller ---------------------------------------------------------------------------------- */

struct gw_hello {
	char      name[AGENT_NAME_SIZE];
	struct id boot_id;
	char      version[24];
	char      listen[ADDRESS_SIZE];      /* agents' port as bound */
	char      join_listen[ADDRESS_SIZE]; /* join port as bound */
};
struct gw_up {
	uint64_t      session;
	struct serial identity;
	char          agent[AGENT_NAME_SIZE]; /* from the certificate's URI */
	struct hash   host_hash;              /* from the certificate's subject */
	int64_t       not_after_at;
	char          address[ADDRESS_SIZE];
};
struct gw_down {
	uint64_t session;
	int      code;
};
struct gw_roster {
	uint32_t sessions;
};
struct gw_frame {
	uint64_t    session;
	struct span frame;
};
struct gw_send {
	uint64_t    session;
	uint64_t    id;
	bool        urgent;
	struct span frame;
};
struct gw_kick {
	uint64_t session;
	int      code;
	char     text[MSG_TEXT_SIZE];
};
struct gw_credit {
	uint32_t frames; /* how many more frame/join messages the gateway may send */
};
struct gw_join {
	uint64_t    request;
	char        address[ADDRESS_SIZE];
	struct span body;
};
struct gw_join_reply {
	uint64_t    request;
	struct span body;
};
/* The gateway's own TLS certificate, made through the controller and signer. */
struct gw_identity {
	struct span csr;
};
struct gw_identity_reply {
	int         code;
	struct span certificate;
	struct span chain; /* intermediate and root: the join port sends the root for the pin */
};
/* Told after hello and whenever it changes. */
struct gw_trust {
	struct span agents; /* the authorities whose certificates make a client an agent, DER one after the other */
	struct hash chain;  /* SHA-256 of the chain that a new certificate would come with: another one than that is in use = ask now */
};

/* ---- link <-> keeper ----------------------------------------------------------------------------------------- */

struct lk_roots {
	struct span roots; /* keeper -> link: those of its trust bundle, DER one after the other */
};
struct lk_state { /* link -> keeper */
	bool connected; /* the websocket stands; welcome comes as a frame */
	int  code;      /* why not */
	char text[MSG_TEXT_SIZE];
};
struct lk_frame { /* both ways, opaque to the link */
	struct span frame;
	bool        urgent;
};
struct lk_csr { /* link -> keeper: sign this request for the link's own identity */
	struct span csr;
};
struct lk_identity { /* keeper -> link: the answer */
	struct span certificate;
	struct span chain;
};
enum { STATUS_MAX = 512 * 1024 }; /* 64 targets with 16 listeners each, and words about all of them */
struct lk_status { /* keeper -> status client (vcc-agent status): one JSON document */
	struct span json;
};
struct lk_status_request {
	uint32_t detail;
};
/* What the link fetches from the public listener, whose address stands in its own certificate. */
enum fetch_kind { FETCH_ISSUERS, FETCH_LISTS, FETCH_KIND_COUNT };
enum { PIECE_MAX = 32768 };
struct lk_fetch { /* keeper -> link; ends the fetch that is under way */
	uint64_t    request; /* which the pieces belong to */
	uint32_t    kind;    /* enum fetch_kind */
	struct hash hash;    /* FETCH_LISTS: as announced */
	uint64_t    limit;   /* a longer answer is not taken */
};
struct lk_piece { /* link -> keeper: in order and without gaps, or the end with a code */
	uint64_t    request;
	uint64_t    offset, total;
	bool        last;
	int         code; /* not 0: it failed, and why */
	char        text[MSG_TEXT_SIZE];
	struct span bytes;
};
/* A look from outside: the link makes the handshakes, the keeper judges what they showed. Both read the address from agent.conf. */
struct lk_peer_look { /* keeper -> link; ends the look that is under way */
	uint64_t request;
	char     cert_id[CERT_ID_SIZE];
	uint32_t handshakes;
};
enum { PEER_CHAIN_MAX = 32768 };
struct lk_peer_saw { /* link -> keeper: one of each handshake */
	uint64_t    request;
	bool        last;
	int         code; /* not 0: no certificate was seen, and why */
	char        text[MSG_TEXT_SIZE];
	struct span chain; /* all that was served, DER one after the other; the key's possession was proved */
};
/* `vcc-agent join` <-> `vcc-keeper join` over stdin and stdout. */
struct lk_join_start {
	char        token[160];
	struct hash pin;
	struct span root; /* DER of the pinned root as the server sent it */
	struct span link_spki;
	char        link_version[24];
};
struct lk_join_sign { /* keeper -> link: sign this body with the link key */
	struct span body;
	struct span token_key;
	struct span token_signature;
	struct span host_signature;
};
struct lk_join_answer { /* link -> keeper: the server's reply, encoded msg_join_reply */
	struct span reply;
};
struct lk_join_done { /* keeper -> link */
	int         code;
	char        text[MSG_TEXT_SIZE];
	char        agent[AGENT_NAME_SIZE];
	char        domain[DNS_NAME_SIZE];
	char        address[ADDRESS_SIZE];
	struct span certificate;
	struct span chain;
	struct span root;
};

struct lk_inventory { /* vcc-agent observe -> keeper: to be signed and sent */
	struct span body; /* encoded body_inventory */
};
struct lk_inventory_done { /* keeper -> vcc-agent observe */
	int  code;
	bool sent; /* false: kept until the controller is there */
	char text[MSG_TEXT_SIZE];
};

/* Return: the identity has ended, the host key is to speak for the link once more. */
struct lk_return { /* link -> keeper: sign for this key */
	struct hash pin; /* the root that the link trusts */
	struct span link_spki;
	struct span challenge; /* of the controller */
};
struct lk_return_sign { /* keeper -> link: sign this body with the link key and post it */
	struct span body;
	struct span host_signature;
};
struct lk_return_answer { /* link -> keeper: the server's reply, encoded msg_join_reply */
	struct span reply;
};
struct lk_return_done { /* keeper -> link: the new identity, or why not */
	int         code;
	char        text[MSG_TEXT_SIZE];
	int64_t     now_at; /* the controller's time */
	char        address[ADDRESS_SIZE];
	struct span certificate;
	struct span chain;
};

/* ---- keeper <-> hook ----------------------------------------------------------------------------------------- */

enum hook_verb {
	HOOK_TEST,
	HOOK_RELOAD,
	HOOK_DRAIN,     /* count the processes from before a reload that still hold connections */
	HOOK_DRAIN_END, /* the same, and ask them to end */
	HOOK_VERB_COUNT
};
struct hk_request {
	char     stem[CERT_ID_SIZE]; /* targets.d/STEM.conf; the hook reads it itself */
	uint32_t verb;               /* enum hook_verb */
	uint64_t generation;         /* for HOOK_TEST: gNNNNNN to be bind-mounted over the current one */
	int64_t  reloaded_ms;        /* for HOOK_DRAIN*: when, by the clock that counts from the boot */
};
struct hk_reply {
	int     code;   /* 0, VCC-22xx */
	int     status; /* exit status, or -signal */
	int64_t took_ms;
	bool    tested; /* HOOK_TEST: a test was really run */
	char    output[CAUSE_SIZE]; /* of the program: its last line, or the first that names a mistake; for people */
	uint32_t old_workers;       /* HOOK_DRAIN* */
	int64_t  oldest_ms;         /* age of the oldest of them */
};

/* ---- controller <-> signer ----------------------------------------------------------------------------------- */

struct sg_hello { /* signer -> controller, first */
	char     version[24];
	uint64_t window_top; /* highest serial counter ever logged */
	uint32_t issuers;
	uint64_t    head_size; /* of the last audit head that was signed; 0 = none */
	struct hash head_root;
};
enum { SG_ROOT_LIST_MAX = 8192, SG_ROOT_LIST_RENEW_DAYS = 90 /* before its end a root's list is made anew */ };
struct sg_issuer { /* signer -> controller, one per CA, after hello */
	char        issuer_id[ISSUER_ID_SIZE];
	struct span certificate;
	bool        offline; /* its key is kept elsewhere: it signs nothing here */
	struct span cross;   /* of a root that follows another: its certificate by that one; else empty */
	struct span list;    /* with it: its first revocation list */
};
/* The facts travel as their own fields; the signer builds the bytes itself and compares `tbs_hash`. */
struct sg_issue {
	struct cert_facts facts;
	struct hash       tbs_hash;
};
struct sg_issued {
	int           code;
	char          text[MSG_TEXT_SIZE];
	struct serial serial;
	struct span   certificate; /* DER */
};
struct sg_crl {
	char        issuer_id[ISSUER_ID_SIZE];
	uint32_t    shard;
	uint64_t    number;
	int64_t     this_update_at;
	int64_t     next_update_at;
	bool        root;    /* the root's own CRL has no distribution point */
	struct span entries; /* packed 24-byte entries, sorted by serial: serial 16, revoked_at in seconds 7 (big-endian), reason 1 */
	struct span dates;   /* of the same entries: the invalidity date, 8 bytes each, in seconds (big-endian), 0 = none; empty = of none */
};
struct sg_crl_done {
	int         code;
	char        text[MSG_TEXT_SIZE];
	char        issuer_id[ISSUER_ID_SIZE];
	uint32_t    shard;
	uint64_t    number;
	struct span crl; /* DER */
};
/* Audit head: the signer signs {label, size, root, at} and no other bytes, and only when the tree has grown out of the one that it signed last:
 * the proof (RFC 6962, 2.1.2) leads from there. */
struct sg_head {
	uint64_t    size;
	struct hash root;
	int64_t     at;
	struct span proof; /* 32-byte nodes from the signer's last size to this one */
};
struct sg_head_done {
	int         code;
	char        text[MSG_TEXT_SIZE];
	char        issuer_id[ISSUER_ID_SIZE]; /* whose key it is */
	struct span signature;
};
/* A new authority of the same role, below the same root, for the time after `issuer_id`: the signer makes the key, and takes everything but
 * the serial from what it holds. One that exists already is answered as it is, so it may be asked for again. */
struct sg_successor {
	char          issuer_id[ISSUER_ID_SIZE];
	char          successor_id[ISSUER_ID_SIZE];
	struct serial serial;
};
struct sg_successor_done {
	int         code;
	char        text[MSG_TEXT_SIZE];
	char        issuer_id[ISSUER_ID_SIZE]; /* the successor's */
	struct span certificate;
};
/* From now on, for good, this authority signs lists and OCSP responders and nothing else. Closed again: as before. */
struct sg_close {
	char issuer_id[ISSUER_ID_SIZE];
};
struct sg_close_done {
	int  code;
	char text[MSG_TEXT_SIZE];
	char issuer_id[ISSUER_ID_SIZE];
};
struct sg_bundle { /* signer -> controller, after the CAs: each trust bundle behind the first, lowest epoch first */
	struct span frame; /* encoded msg_bundle */
};

#endif
