/* depends.c - room controller/core: declared dependencies between services.
 * Never: heap, recursion: the way so far is a list of places in `list`. */
#include "controller/core/depends.h"

#include <string.h>

#include "shared/base/text.h"

/* Where a walk from `next` stands: one entry per service on the way, with the place in its list of dependencies. */
struct way {
	size_t      at[DEPENDS_MAX + 1];
	const char *rest[DEPENDS_MAX + 1];
	size_t      n;
};

static size_t find(const struct service *const *list, size_t n, const char *name)
{
	size_t i = 0;
	while (i < n && !text_equal(list[i]->name, name))
		i++;
	return i;
}

static int refuse_cycle(const struct service *const *list, const struct way *w, const struct service *next, struct refusal *why)
{
	char   text[DEPENDS_TEXT_SIZE] = "";
	size_t used = 0;
	for (size_t i = 0; i <= w->n && used + SERVICE_SIZE + 8 < sizeof(text); i++) {
		const char *name = i == 0 || i == w->n ? next->name : list[w->at[i]]->name;
		text_cut(text + used, sizeof(text) - used, i > 0 ? " -> " : "");
		used += i > 0 ? 4 : 0;
		text_cut(text + used, sizeof(text) - used, name);
		used += strlen(name);
	}
	return refuse(why, E_SERVICE_CYCLE, next->name, "%s", text);
}

int depends_check(const struct service *const *list, size_t n, const struct service *next, struct refusal *why)
{
	char       name[SERVICE_SIZE];
	bool       seen[DEPENDS_MAX] = {false};
	struct way w = {.n = 1};
	w.rest[0] = next->depends_on;
	if (n > DEPENDS_MAX)
		return refuse(why, E_SERVICE_FILE, next->name, "there are more than %d services", DEPENDS_MAX);
	while (w.n > 0) {
		if (!text_item(&w.rest[w.n - 1], name, sizeof(name))) {
			w.n--;
			continue;
		}
		if (text_equal(name, next->name))
			return refuse_cycle(list, &w, next, why);
		size_t i = find(list, n, name);
		if (i == n)
			return refuse(why, E_SERVICE_FILE, next->name, "field `depends_on`: there is no service `%s`", name);
		if (seen[i])
			continue;
		seen[i] = true;
		w.at[w.n] = i;
		w.rest[w.n] = list[i]->depends_on;
		w.n++;
	}
	return 0;
}
