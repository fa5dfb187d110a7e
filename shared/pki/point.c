/* point.c - room shared/pki: reads distribution points.
 * Never: following them. */
#include "shared/pki/point.h"

/* DistributionPoint and IssuingDistributionPoint begin alike: [0] { [0] { uri } }, and nothing else of them may be there. */
static bool point_read(struct der *d, struct span *ret_uri)
{
	struct der  point = der_in(d, DER_SEQUENCE);
	struct der  name = der_in(&point, DER_CONTEXT_CONS | 0);
	struct der  full = der_in(&name, DER_CONTEXT_CONS | 0);
	struct span uri = der_get(&full, GN_URI);
	if (!der_done(&full) || !der_done(&name) || !der_done(&point) || uri.n == 0)
		return false;
	*ret_uri = uri;
	return true;
}

bool point_of_certificate(struct span value, struct span *ret_uri)
{
	struct der  outer = der_of(value);
	struct der  list = der_in(&outer, DER_SEQUENCE);
	struct span uri;
	if (!point_read(&list, &uri) || !der_done(&list) || !der_done(&outer))
		return false;
	*ret_uri = uri;
	return true;
}

bool point_of_list(struct span value, struct span *ret_uri)
{
	struct der  outer = der_of(value);
	struct span uri;
	if (!point_read(&outer, &uri) || !der_done(&outer))
		return false;
	*ret_uri = uri;
	return true;
}
