/* poison.c - room controller/daemon: the note of what is in hand.
 * Never: a system call between enter and leave. */
#include "controller/daemon/poison.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "controller/daemon/state.h"
#include "shared/base/text.h"
#include "shared/model/names.h"
#include "shared/sys/file.h"
#include "shared/sys/log.h"

enum { PAGE_BYTES = 4096, SUSPECTS = 32 };
static const char name[] = "in-hand";
static const char magic[8] = "VCCHAND";

struct suspect {
	char     cert_id[CERT_ID_SIZE];
	uint32_t deaths;
	uint32_t when; /* grows with each count: the smallest gives way */
};

struct note {
	char           magic[sizeof(magic)];
	char           in_hand[CERT_ID_SIZE]; /* "" = nothing */
	uint32_t       counts;
	struct suspect suspect[SUSPECTS];
};
_Static_assert(sizeof(struct note) <= PAGE_BYTES, "one page holds the note");

struct poison {
	struct note *note; /* mapped, or plain memory where that could not be: then nothing outlives us */
	bool         mapped;
};

static struct suspect *find(const struct poison *p, const char *cert_id)
{
	for (size_t i = 0; i < SUSPECTS; i++)
		if (cert_id[0] != '\0' && text_equal(p->note->suspect[i].cert_id, cert_id))
			return &p->note->suspect[i];
	return NULL;
}

/* ---- the run before ------------------------------------------------------------------------------------------------------ */

static struct suspect *place_for(struct poison *p, const char *cert_id)
{
	struct suspect *s = find(p, cert_id);
	for (size_t i = 0; s == NULL && i < SUSPECTS; i++)
		if (p->note->suspect[i].cert_id[0] == '\0')
			s = &p->note->suspect[i];
	if (s == NULL) {
		s = &p->note->suspect[0];
		for (size_t i = 1; i < SUSPECTS; i++)
			if (p->note->suspect[i].when < s->when)
				s = &p->note->suspect[i];
	}
	if (!text_equal(s->cert_id, cert_id))
		*s = (struct suspect){.deaths = 0};
	text_cut(s->cert_id, sizeof(s->cert_id), cert_id);
	return s;
}

static void count_death(struct poison *p)
{
	char cert_id[CERT_ID_SIZE];
	memcpy(cert_id, p->note->in_hand, sizeof(cert_id));
	memset(p->note->in_hand, 0, sizeof(p->note->in_hand));
	if (cert_id[0] == '\0' || memchr(cert_id, '\0', sizeof(cert_id)) == NULL || !name_cert_id_ok(cert_id))
		return; /* nothing was, or the end came while it was written */
	struct suspect *s = place_for(p, cert_id);
	s->deaths++;
	s->when = ++p->note->counts;
	log_line(LOG_LEVEL_WARNING, NULL, "the last run ended while it had %s in hand (%u of %d times until that rests)", cert_id, (unsigned)s->deaths,
		 POISON_TRIES);
}

static bool is_whole(const struct note *n)
{
	bool whole = memcmp(n->magic, magic, sizeof(magic)) == 0;
	for (size_t i = 0; i < SUSPECTS && whole; i++)
		whole = memchr(n->suspect[i].cert_id, '\0', sizeof(n->suspect[i].cert_id)) != NULL;
	return whole;
}

/* ---- the page ------------------------------------------------------------------------------------------------------------- */

static int map_note(const char *state_dir, struct note **ret, struct refusal *why)
{
	_cleanup_fd_ int dir_fd = -1;
	int              r = dir_open_safe(state_dir, geteuid(), &dir_fd, why);
	if (r < 0)
		return r;
	_cleanup_fd_ int fd = openat(dir_fd, name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0 || posix_fallocate(fd, 0, PAGE_BYTES) != 0) /* a hole in a full disk would be the end of us */
		return sys_refuse(why, name, "open it");
	void *page = mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (page == MAP_FAILED)
		return sys_refuse(why, name, "map it");
	*ret = page;
	return 0;
}

int poison_open(struct controller *ctl, struct poison **ret)
{
	struct refusal why = {.code = 0};
	struct poison *p = calloc(1, sizeof(*p));
	if (p == NULL)
		return E_NOMEM;
	p->mapped = map_note(ctl->conf->state_dir, &p->note, &why) == 0;
	if (!p->mapped) {
		log_refusal(LOG_LEVEL_WARNING, NULL, &why);
		p->note = calloc(1, PAGE_BYTES);
	}
	if (p->note == NULL) {
		free(p);
		return E_NOMEM;
	}
	if (!is_whole(p->note)) {
		memset(p->note, 0, PAGE_BYTES);
		memcpy(p->note->magic, magic, sizeof(magic));
	}
	count_death(p);
	*ret = p;
	return 0;
}

void poison_free(struct poison *p)
{
	if (p == NULL)
		return;
	memset(p->note->in_hand, 0, sizeof(p->note->in_hand));
	if (p->mapped)
		munmap(p->note, PAGE_BYTES);
	else
		free(p->note);
	free(p);
}

/* ---- in hand --------------------------------------------------------------------------------------------------------------- */

void poison_enter(struct poison *p, const char *cert_id, struct poison_hold *ret)
{
	memcpy(ret->before, p->note->in_hand, sizeof(ret->before));
	text_cut(p->note->in_hand, sizeof(p->note->in_hand), cert_id);
	atomic_signal_fence(memory_order_seq_cst); /* before anything else is done */
}

void poison_leave(struct poison *p, const struct poison_hold *hold)
{
	atomic_signal_fence(memory_order_seq_cst);
	memcpy(p->note->in_hand, hold->before, sizeof(hold->before));
}

/* ---- what is known of one ---------------------------------------------------------------------------------------------------- */

bool poison_rests(const struct poison *p, const char *cert_id)
{
	const struct suspect *s = find(p, cert_id);
	return s != NULL && s->deaths >= POISON_TRIES;
}

bool poison_untouchable(const struct poison *p, const char *cert_id)
{
	const struct suspect *s = find(p, cert_id);
	return s != NULL && s->deaths > POISON_TRIES;
}

void poison_lay(struct poison *p, const char *cert_id)
{
	struct suspect *s = place_for(p, cert_id);
	if (s->deaths < POISON_TRIES)
		s->deaths = POISON_TRIES;
	s->when = ++p->note->counts;
}

void poison_once_more(struct poison *p, const char *cert_id)
{
	struct suspect *s = find(p, cert_id);
	if (s != NULL && s->deaths >= POISON_TRIES)
		s->deaths = POISON_TRIES - 1;
}

void poison_forget(struct poison *p, const char *cert_id)
{
	struct suspect *s = find(p, cert_id);
	if (s != NULL)
		*s = (struct suspect){.deaths = 0};
}
