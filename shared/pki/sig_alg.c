/* sig_alg.c - room shared/pki: the table of AlgorithmIdentifiers (RFC 3279, 4055, 5480, 5758, 8410).
 * Never: other algorithms, parameters in another form. */
#include "shared/pki/sig_alg.h"

#include "shared/base/err.h"

static const uint8_t key_p256[] = {0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01,
				   0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07};
static const uint8_t key_p384[] = {0x30, 0x10, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d,
				   0x02, 0x01, 0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22};
static const uint8_t key_rsa[] = {0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00};
static const uint8_t ed25519[] = {0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70};

static const uint8_t ecdsa_256[] = {0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02};
static const uint8_t ecdsa_384[] = {0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x03};
static const uint8_t ecdsa_512[] = {0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x04};
static const uint8_t rsa_256[] = {0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0b, 0x05, 0x00};
static const uint8_t rsa_384[] = {0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0c, 0x05, 0x00};
static const uint8_t rsa_512[] = {0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0d, 0x05, 0x00};

static const struct alg_row {
	struct span   key;
	struct span   signature[HASH_ALG_COUNT];
	enum hash_alg usual;
	bool          rsa, ec;
} rows[KEY_TYPE_COUNT] = {
	[KEY_EC_P256] =
		{{key_p256, sizeof(key_p256)}, {{ecdsa_256, 12}, {ecdsa_384, 12}, {ecdsa_512, 12}}, HASH_SHA256, false, true},
	[KEY_EC_P384] =
		{{key_p384, sizeof(key_p384)}, {{ecdsa_256, 12}, {ecdsa_384, 12}, {ecdsa_512, 12}}, HASH_SHA384, false, true},
	[KEY_RSA_2048] = {{key_rsa, sizeof(key_rsa)}, {{rsa_256, 15}, {rsa_384, 15}, {rsa_512, 15}}, HASH_SHA256, true, false},
	[KEY_RSA_3072] = {{key_rsa, sizeof(key_rsa)}, {{rsa_256, 15}, {rsa_384, 15}, {rsa_512, 15}}, HASH_SHA256, true, false},
	[KEY_RSA_4096] = {{key_rsa, sizeof(key_rsa)}, {{rsa_256, 15}, {rsa_384, 15}, {rsa_512, 15}}, HASH_SHA256, true, false},
	[KEY_ED25519] = {{ed25519, sizeof(ed25519)}, {{ed25519, 7}, {ed25519, 7}, {ed25519, 7}}, HASH_SHA256, false, false},
};

struct span sig_alg_der(enum key_type type, enum hash_alg alg)
{
	return rows[type].signature[alg];
}

int sig_alg_read(struct span der, enum key_type type, enum hash_alg *ret)
{
	for (int alg = 0; alg < HASH_ALG_COUNT; alg++) {
		if (!span_equal(der, rows[type].signature[alg]))
			continue;
		*ret = (enum hash_alg)alg;
		return 0;
	}
	return E_PKI_SIGNATURE;
}

enum hash_alg sig_alg_usual(enum key_type type)
{
	return rows[type].usual;
}

struct span sig_alg_of_key(enum key_type type)
{
	return rows[type].key;
}

bool sig_alg_is_rsa(enum key_type t)
{
	return rows[t].rsa;
}

bool sig_alg_is_ec(enum key_type t)
{
	return rows[t].ec;
}
