/* fuzz_cursor.c - whatever the strict check lets pass must decode, and encode again to the same bytes.
 * The first byte chooses a table or a signed body, the rest is the frame. */
#include <stdlib.h>

#include "shared/wire/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct wire_message *const bodies[] = {&wire_body_csr, &wire_body_identity, &wire_body_receipt,
                                                    &wire_body_bundle, &wire_body_join, &wire_body_inventory, &wire_body_return};

static union {
	struct body_csr      csr;
	struct body_identity identity;
	struct body_receipt  receipt;
	struct body_bundle   bundle;
	struct body_join     join;
	struct body_inventory inventory;
	struct body_return   comeback;
} body;

static struct wire_frame frame;
static struct buf        again = BUF_MAX(1 << 20);

static void try_body(const struct wire_message *message, struct span bytes)
{
	if (wire_body_decode(message, bytes, &body) < 0)
		return;
	if (wire_body_encode(message, &body, &again) < 0 || !span_equal(bytes, buf_span(&again)))
		abort();
}

static void try_frame(const struct wire_table *table, struct span bytes)
{
	uint16_t type;
	uint64_t id;
	int      checked = wire_check(table, bytes, 0, &type, &id);
	int      decoded = wire_decode(table, bytes, 0, &frame);
	if (checked != decoded)
		abort();
	if (checked < 0)
		return;
	if (frame.type != type || frame.id != id)
		abort();
	if (wire_encode(table, type, id, &frame.u, &again) < 0 || !span_equal(bytes, buf_span(&again)))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t                          n;
	const struct wire_table *const *tables = wire_tables(&n);
	if (size == 0)
		return 0;
	struct span bytes = {data + 1, size - 1};
	size_t      which = data[0] % (n + N_ELEMENTS(bodies));
	buf_reset(&again);
	if (which < n)
		try_frame(tables[which], bytes);
	else
		try_body(bodies[which - n], bytes);
	return 0;
}
