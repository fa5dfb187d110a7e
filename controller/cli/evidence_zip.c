/* evidence_zip.c - room controller/cli: writes evidence of a period as one archive. Packs come one by one into a folder beside the archive, which
 * is made of them at the end: memory holds the list of their names. The same packs give the same bytes.
 * Never: judging; replacing a file. */
#include "controller/cli/evidence_zip.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <zip.h>

#include "controller/cli/evidence_subjects.h"
#include "shared/base/text.h"
#include "shared/base/times.h"
#include "shared/model/names.h"
#include "shared/pki/key.h"
#include "shared/sys/file.h"

#define REPORTS "/api/v1/reports"

enum {
	PARTS_MAX = 10000,
	TRIES = 60, /* another report may be under way, or too many questions were asked */
	HEAD_TRIES = 60, /* of the whole archive: a head is signed within a minute, and then there is one for all packs */
	TRY_SECONDS = 2,
	FOLDER_SIZE = CLIENT_PATH_SIZE + 16,
	PATH_SIZE = FOLDER_SIZE + 32,
	DOS_DATE = 1 << 5 | 1, /* 1980-01-01: the first day that an archive can name */
};
#define BYTES_MAX (INT64_C(8) << 30) /* of all packs before they are packed */

const char evidence_zip_readme[] =
	"Evidence of a VCC PKI installation.\n"
	"\n"
	"certificates/  one pack for each certificate that was requested, issued, renewed, rolled back, revoked, suspended or resumed in the period,\n"
	"               or whose renewal failed or was paused\n"
	"campaigns/     one for each campaign, emergency and drill that began in it; large ones in parts\n"
	"report.json    the compliance report of the period: what the installation says of itself, signed by nobody\n"
	"index.json     the files with their sizes and SHA-256, and what was left out, with the reason; signed by nobody either\n"
	"\n"
	"To verify it, with the root certificate of the installation, which you have from elsewhere:\n"
	"\n"
	"    vccctl audit verify THIS.zip --root ca.pem\n"
	"    python3 verify_evidence.py THIS.zip ca.pem      (docs/verify_evidence.py of the source; it needs python3-cryptography)\n"
	"\n"
	"Each pack is proved by itself: unpacked, it is verified in the same way. Everything in a pack hangs on a head of the audit trail that the\n"
	"installation signed. A pack proves what is in it, and the archive what is in its packs; that nothing was left out is proved by the whole\n"
	"trail alone: `vccctl audit export`, which `vccctl audit verify` checks, too.\n";

struct work {
	const struct invocation      *in;
	const struct evidence_period *period;
	char                          folder[FOLDER_SIZE]; /* "" = none was made */
	zip_t                        *zip;
	json_t                       *files, *left_out;
	size_t                        n;
	int64_t                       bytes;
	bool                          full;  /* no other part has room: what was refused is the archive */
	int                           heads; /* so often a head was waited for */
	struct refusal               *why;
};

/* ---- one part ---------------------------------------------------------------------------------------------------- */

/* Of a file that may be larger than what one wants in memory. */
static int hash_file(const char *path, struct hash *ret, int64_t *ret_bytes, struct refusal *why)
{
	_cleanup_fd_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat      st;
	if (fd < 0 || fstat(fd, &st) != 0)
		return sys_refuse(why, path, "read the file"), EXIT_FAILED;
	void *at = st.st_size > 0 ? mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0) : NULL;
	if (at == MAP_FAILED)
		return sys_refuse(why, path, "read the file"), EXIT_FAILED;
	digest_sha256((struct span){at, (size_t)st.st_size}, ret);
	if (at != NULL)
		(void)munmap(at, (size_t)st.st_size);
	*ret_bytes = st.st_size;
	return EXIT_DONE;
}

/* A time, a mode and an order that do not hang on when, where and by whom it is made. */
static int add_source(struct work *w, const char *name, zip_source_t *source)
{
	zip_int64_t i = source != NULL ? zip_file_add(w->zip, name, source, ZIP_FL_ENC_UTF_8) : -1;
	if (i < 0) {
		zip_source_free(source);
		return refuse(w->why, E_SYS_IO, name, "it cannot be put into the archive: %s", zip_strerror(w->zip)), EXIT_FAILED;
	}
	if (zip_file_set_dostime(w->zip, (zip_uint64_t)i, 0, DOS_DATE, 0) < 0 ||
	    zip_file_set_external_attributes(w->zip, (zip_uint64_t)i, 0, ZIP_OPSYS_UNIX, (zip_uint32_t)(S_IFREG | 0644) << 16) < 0 ||
	    zip_set_file_compression(w->zip, (zip_uint64_t)i, ZIP_CM_DEFLATE, 6) < 0)
		return refuse(w->why, E_SYS_IO, name, "it cannot be put into the archive: %s", zip_strerror(w->zip)), EXIT_FAILED;
	return EXIT_DONE;
}

static int fetch_once(const struct work *w, const char *from, const char *path)
{
	FILE *to = fopen(path, "we");
	if (to == NULL)
		return sys_refuse(w->why, path, "make the file"), EXIT_FAILED;
	int r = client_download(&w->in->client, from, to, w->why);
	if (fclose(to) != 0 && r == EXIT_DONE)
		r = (sys_refuse(w->why, path, "write the file"), EXIT_FAILED);
	return r;
}

/* A head that is not signed yet, and a controller that has enough to do, are waited for. Without a head one goes on, so that all parts together
 * wait no longer than the first may; without the controller the archive ends. */
static bool waits(struct work *w, int *busy)
{
	if (w->why->code == E_EVIDENCE_UNSIGNED)
		return ++w->heads < HEAD_TRIES;
	return (w->why->code == E_API_BUSY || w->why->code == E_API_RATE) && ++*busy < TRIES;
}

static int fetch(struct work *w, const char *from, const char *path)
{
	int busy = 0, r = fetch_once(w, from, path);
	while (r != EXIT_DONE && waits(w, &busy)) {
		(void)nanosleep(&(struct timespec){.tv_sec = TRY_SECONDS}, NULL);
		r = fetch_once(w, from, path);
	}
	return r;
}

/* Looked at before a part is fetched and, of its bytes, after that. The report has a place of its own beyond the packs. */
static int has_room(struct work *w, const char *name, const char *kind)
{
	size_t max = EVIDENCE_ZIP_FILES_MAX + (text_equal(kind, EVIDENCE_ZIP_KIND_REPORT) ? 1 : 0);
	w->full = w->n >= max || w->bytes > BYTES_MAX;
	if (!w->full)
		return EXIT_DONE;
	return refuse(w->why, E_EVIDENCE_LARGE, name, "it is too much for one archive: take a shorter period"), EXIT_FAILED;
}

static int add_part(struct work *w, const char *from, const char *name, const char *kind, const char *id, int64_t part)
{
	char        path[PATH_SIZE], hex[HASH_TEXT_SIZE];
	struct hash hash;
	int64_t     bytes = 0;
	(void)snprintf(path, sizeof(path), "%s/%zu", w->folder, w->n);
	int r = has_room(w, name, kind);
	if (r == EXIT_DONE)
		r = fetch(w, from, path);
	if (r == EXIT_DONE)
		r = hash_file(path, &hash, &bytes, w->why);
	w->bytes += bytes;
	if (r == EXIT_DONE)
		r = has_room(w, name, kind);
	if (r != EXIT_DONE) {
		(void)unlink(path);
		return r;
	}
	w->n++;
	json_t *row = json_pack("{s:s,s:s,s:I,s:s}", "path", name, "kind", kind, "bytes", (json_int_t)bytes, "sha256", hash_text(hash, hex));
	if (id != NULL)
		json_object_set_new(row, "id", json_string(id));
	if (part > 0)
		json_object_set_new(row, "part", json_integer((json_int_t)part));
	json_array_append_new(w->files, row);
	return add_source(w, name, zip_source_file(w->zip, path, 0, -1));
}

/* ---- what it is of ----------------------------------------------------------------------------------------------- */

/* `member`: "part", of that part alone, or "from_part", of it and all behind it; NULL: of the whole. */
static void leave_out(struct work *w, const char *kind, const char *id, const char *member, unsigned part)
{
	char    code[ERR_CODE_SIZE];
	json_t *row = json_pack("{s:s,s:s,s:s,s:s}", "kind", kind, "id", id, "code", err_code(w->why->code, code), "reason", err_what(w->why->code));
	fprintf(stderr, "%s: left out: %s", id, err_what(w->why->code));
	if (member != NULL) {
		json_object_set_new(row, member, json_integer((json_int_t)part));
		fprintf(stderr, " (%s %u)", member, part);
	}
	fputc('\n', stderr);
	json_array_append_new(w->left_out, row);
	*w->why = (struct refusal){.code = 0};
}

static bool can_be_left(const struct work *w)
{
	int code = w->why->code;
	return !w->full && (code == E_EVIDENCE_LARGE || code == E_EVIDENCE_NONE || code == E_EVIDENCE_UNSIGNED);
}

/* `sure`: it is a certificate. Else it may be the name of a host, whose identity was revoked: that has no pack. */
static int add_certificate(struct work *w, const char *id, bool sure)
{
	char from[CLIENT_PATH_SIZE], name[EVIDENCE_ZIP_NAME_SIZE];
	if (!name_cert_id_ok(id))
		return EXIT_DONE;
	(void)snprintf(from, sizeof(from), REPORTS "/evidence?certificate=%s", id);
	(void)snprintf(name, sizeof(name), "certificates/%s.json", id);
	int  r = add_part(w, from, name, "certificate", id, 0);
	bool host = !sure && r != EXIT_DONE && w->why->code == E_EVIDENCE_NONE;
	if (r == EXIT_DONE || (!host && !can_be_left(w)))
		return r;
	if (host)
		*w->why = (struct refusal){.code = 0};
	else
		leave_out(w, "certificate", id, NULL, 0);
	return EXIT_DONE;
}

/* A part that cannot be had is left out, and the next one asked for. Where that would not tell whether there is a next one, the rest is left out. */
static int add_campaign_parts(struct work *w, const char *id)
{
	char from[CLIENT_PATH_SIZE], name[EVIDENCE_ZIP_NAME_SIZE];
	int  r = EXIT_DONE;
	for (unsigned part = 1; part <= PARTS_MAX; part++) {
		(void)snprintf(from, sizeof(from), REPORTS "/evidence?campaign=%s&part=%u", id, part);
		(void)snprintf(name, sizeof(name), "campaigns/%s.%05u.json", id, part);
		r = add_part(w, from, name, "campaign", id, part);
		if (r != EXIT_DONE && part > 1 && w->why->code == E_EVIDENCE_NONE) {
			*w->why = (struct refusal){.code = 0};
			return EXIT_DONE;
		}
		if (r != EXIT_DONE && !can_be_left(w))
			return r;
		if (r != EXIT_DONE && w->why->code != E_EVIDENCE_LARGE) {
			leave_out(w, "campaign", id, "from_part", part);
			return EXIT_DONE;
		}
		if (r != EXIT_DONE)
			leave_out(w, "campaign", id, "part", part);
	}
	refuse(w->why, E_EVIDENCE_LARGE, id, "more than %d parts", PARTS_MAX);
	leave_out(w, "campaign", id, "from_part", PARTS_MAX + 1);
	return EXIT_DONE;
}

static int add_campaign(struct work *w, const char *id)
{
	char      from[CLIENT_PATH_SIZE], name[EVIDENCE_ZIP_NAME_SIZE];
	struct id parsed;
	if (id_parse(id, &parsed) < 0)
		return EXIT_DONE;
	(void)snprintf(from, sizeof(from), REPORTS "/evidence?campaign=%s", id);
	(void)snprintf(name, sizeof(name), "campaigns/%s.json", id);
	int r = add_part(w, from, name, "campaign", id, 0);
	if (r != EXIT_DONE && !w->full && w->why->code == E_EVIDENCE_LARGE)
		return add_campaign_parts(w, id);
	if (r != EXIT_DONE && can_be_left(w)) {
		leave_out(w, "campaign", id, NULL, 0);
		return EXIT_DONE;
	}
	return r;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* In the order of their names, whatever the order in which things happened. */
static int add_each(struct work *w, json_t *names, bool campaigns)
{
	size_t       n = json_object_size(names), i = 0;
	const char **sorted = calloc(n + 1, sizeof(*sorted)), *name;
	json_t      *sure;
	int          r = EXIT_DONE;
	if (sorted == NULL)
		abort();
	json_object_foreach(names, name, sure) sorted[i++] = name;
	qsort(sorted, n, sizeof(*sorted), by_name);
	for (i = 0; i < n && r == EXIT_DONE; i++)
		r = campaigns ? add_campaign(w, sorted[i]) : add_certificate(w, sorted[i], json_is_true(json_object_get(names, sorted[i])));
	free(sorted);
	return r;
}

static int add_period(struct work *w)
{
	struct evidence_subjects s = {NULL, NULL};
	char                     from[CLIENT_PATH_SIZE], since[TIME_TEXT_SIZE], until[TIME_TEXT_SIZE];
	(void)snprintf(from, sizeof(from), REPORTS "/compliance?from=%s&to=%s", time_text(w->period->since, since), time_text(w->period->until, until));
	int r = evidence_subjects_find(&w->in->client, w->period->since, w->period->until, EVIDENCE_ZIP_FILES_MAX, &s, w->why);
	if (r == EXIT_DONE)
		r = add_each(w, s.campaigns, true);
	if (r == EXIT_DONE)
		r = add_each(w, s.certificates, false);
	if (r == EXIT_DONE)
		r = add_part(w, from, EVIDENCE_ZIP_REPORT, EVIDENCE_ZIP_KIND_REPORT, NULL, 0);
	evidence_subjects_free(&s);
	return r;
}

/* ---- the archive ------------------------------------------------------------------------------------------------- */

/* libzip takes the bytes over, and frees them when they are `owned`. */
static int add_text(struct work *w, const char *name, const char *text, bool owned)
{
	return add_source(w, name, zip_source_buffer(w->zip, text, strlen(text), owned ? 1 : 0));
}

static int add_lists(struct work *w)
{
	char    since[TIME_TEXT_SIZE], until[TIME_TEXT_SIZE];
	bool    all = w->period->certificate == NULL && w->period->campaign == NULL;
	json_t *from = all ? json_string(time_text(w->period->since, since)) : json_null(), *to = all ? json_string(time_text(w->period->until, until)) : json_null();
	json_t *index = json_pack("{s:i,s:o,s:o,s:O,s:O}", "vcc_evidence_archive", 1, "since", from, "until", to, "files", w->files, "left_out", w->left_out);
	char   *text = json_dumps(index, JSON_INDENT(1) | JSON_SORT_KEYS);
	json_decref(index);
	if (text == NULL)
		abort();
	int r = add_text(w, EVIDENCE_ZIP_README, evidence_zip_readme, false);
	return r == EXIT_DONE ? add_text(w, EVIDENCE_ZIP_INDEX, text, true) : (free(text), r);
}

/* A file that has the name stays. Some file systems, as NFS, rename over it or not at all: a second name is refused by all of them. */
static int give_name(const char *made, const char *file)
{
	if (renameat2(AT_FDCWD, made, AT_FDCWD, file, RENAME_NOREPLACE) == 0)
		return 0;
	return errno == EINVAL && link(made, file) == 0 ? unlink(made) : -1;
}

/* As any file that its user makes, whatever the library made it with. */
static mode_t mode_by_umask(void)
{
	mode_t mask = umask(0);
	(void)umask(mask);
	return 0666 & ~mask;
}

/* Whole and on the disk before it gets its name. */
static int put_in_place(const char *made, const char *file, struct refusal *why)
{
	char             dir[CLIENT_PATH_SIZE];
	_cleanup_fd_ int fd = open(made, O_RDONLY | O_CLOEXEC);
	text_cut(dir, sizeof(dir), file);
	if (fd < 0 || fchmod(fd, mode_by_umask()) != 0 || fsync(fd) != 0)
		return sys_refuse(why, file, "write the file"), EXIT_FAILED;
	if (give_name(made, file) != 0)
		return sys_refuse(why, file, "make the file"), EXIT_FAILED;
	_cleanup_fd_ int dir_fd = open(dirname(dir), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	(void)!(dir_fd >= 0 && dir_sync(dir_fd) == 0); /* where that cannot be done the file is there all the same */
	return EXIT_DONE;
}

static int write_archive(struct work *w, const char *file)
{
	char made[PATH_SIZE];
	int  error = 0;
	(void)snprintf(made, sizeof(made), "%s/archive", w->folder);
	w->zip = zip_open(made, ZIP_CREATE | ZIP_EXCL, &error);
	if (w->zip == NULL)
		return refuse(w->why, E_SYS_IO, file, "the archive cannot be begun (libzip error %d)", error), EXIT_FAILED;
	int r = w->period->certificate != NULL ? add_certificate(w, w->period->certificate, true)
	      : w->period->campaign != NULL    ? add_campaign(w, w->period->campaign)
					       : add_period(w);
	if (r == EXIT_DONE && json_array_size(w->files) == 0)
		r = (refuse(w->why, E_EVIDENCE_NONE, file, "nothing that could be put into it"), EXIT_FAILED);
	if (r == EXIT_DONE)
		r = add_lists(w);
	if (r == EXIT_DONE && zip_close(w->zip) != 0)
		r = (refuse(w->why, E_SYS_IO, file, "the archive cannot be written: %s", zip_strerror(w->zip)), EXIT_FAILED);
	else if (r == EXIT_DONE)
		w->zip = NULL;
	if (w->zip != NULL)
		zip_discard(w->zip);
	return r == EXIT_DONE ? put_in_place(made, file, w->why) : r;
}

int evidence_zip_make(const struct invocation *in, const struct evidence_period *period, const char *file, struct refusal *why)
{
	struct work    w = {.in = in, .period = period, .files = json_array(), .left_out = json_array(), .why = why};
	struct refusal gone;
	int            n = snprintf(w.folder, sizeof(w.folder), "%s.XXXXXX", file), r = EXIT_DONE;
	if (n < 0 || n >= CLIENT_PATH_SIZE)
		r = (refuse(why, E_CLI_USAGE, "-o", "the path is too long"), EXIT_USAGE);
	else if (access(file, F_OK) == 0)
		r = (refuse(why, E_EXISTS, file, "the file is there already"), EXIT_FAILED);
	else if (mkdtemp(w.folder) == NULL)
		r = (sys_refuse(why, file, "make a folder beside the file"), EXIT_FAILED);
	if (r == EXIT_DONE) {
		r = write_archive(&w, file);
		if (tree_remove(AT_FDCWD, w.folder, &gone) < 0)
			fprintf(stderr, "%s: it could not be removed: %s\n", w.folder, gone.cause);
	}
	if (r == EXIT_DONE)
		fprintf(stderr, "%s: %zu files, %zu left out; `vccctl audit verify %s` checks it without the controller\n", file, json_array_size(w.files),
			json_array_size(w.left_out), file);
	if (r == EXIT_DONE && json_array_size(w.left_out) > 0)
		r = EXIT_PARTLY;
	json_decref(w.files);
	json_decref(w.left_out);
	return r;
}
