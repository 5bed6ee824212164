/*
 * crypt_test - crypt.h against published vectors: FIPS 180 examples, RFC 2202
 * and 4231 (HMAC), the GCM specification's test case 16, RFC 3720 (CRC-32C),
 * RFC 4648 (encodings).
 */
#include <pthread.h>

#include "broker/base/crypt.h"
#include "tests/unit/t.h"

static const char *
hex(const void *p, size_t n)
{
	static struct buf b;

	if (b.max == 0)
		buf_init(&b, 1 << 16);
	buf_reset(&b);
	hex_put(&b, slice_of(p, n));
	return buf_cstr(&b);
}

static const char *
hashed(const char *name, const char *text)
{
	uint8_t out[HASH_MAX];
	enum hash_alg a = hash_by_name(slice_str(name));

	CHECK_OK(hash(a, slice_str(text), out));
	return hex(out, hash_size(a));
}

T(hashes)
{
	uint8_t out[32];

	CHECK_STR(hashed("md5", "abc"), "900150983cd24fb0d6963f7d28e17f72");
	CHECK_STR(
	    hashed("sha1", "abc"), "a9993e364706816aba3e25717850c26c9cd0d89d");
	CHECK_STR(hashed("sha256", "abc"), "ba7816bf8f01cfea414140de5dae2223"
					   "b00361a396177a9cb410ff61f20015ad");
	CHECK_STR(hashed("sha256", ""), "e3b0c44298fc1c149afbf4c8996fb924"
					"27ae41e4649b934ca495991b7852b855");
	CHECK_STR(hashed("sha512", "abc"), "ddaf35a193617abacc417349ae204131"
					   "12e6fa4e89a97ea20a9eeee64b55d39a"
					   "2192992a274fc1a836ba3c23a3feebbd"
					   "454d4423643ce80e2a9ac94fa54ca49f");
	sha256(SLICE_LIT("abc"), out);
	CHECK_STR(hex(out, 32), "ba7816bf8f01cfea414140de5dae2223"
				"b00361a396177a9cb410ff61f20015ad");
	CHECK(hash_by_name(SLICE_LIT("SHA256")) == HASH_NONE);
	CHECK(hash_by_name(SLICE_LIT("crc32")) == HASH_NONE);
	CHECK_ERR(
	    hash(HASH_NONE, SLICE_EMPTY, (uint8_t[HASH_MAX]){0}), ERR_RANGE);
}

static const char *
hmac_hex(enum hash_alg a, struct slice key, struct slice data)
{
	uint8_t out[HASH_MAX];

	CHECK_OK(hmac(a, key, data, out));
	return hex(out, hash_size(a));
}

T(hmacs)
{
	static const char text[] = "what do ya want for nothing?";
	uint8_t key[131], out[32];
	struct hmac_key *k;

	/* RFC 4231, cases 1, 2 and 6; RFC 2202, case 2 of each. */
	memset(key, 0x0b, sizeof(key));
	CHECK_STR(
	    hmac_hex(HASH_SHA256, slice_of(key, 20), SLICE_LIT("Hi There")),
	    "b0344c61d8db38535ca8afceaf0bf12b"
	    "881dc200c9833da726e9376c2e32cff7");
	CHECK_STR(hmac_hex(HASH_SHA512, SLICE_LIT("Jefe"), SLICE_LIT(text)),
	    "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554"
	    "9758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737");
	CHECK_STR(hmac_hex(HASH_SHA1, SLICE_LIT("Jefe"), SLICE_LIT(text)),
	    "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79");
	CHECK_STR(hmac_hex(HASH_MD5, SLICE_LIT("Jefe"), SLICE_LIT(text)),
	    "750c783e6ab0b503eaa86e310a5db738");
	memset(key, 0xaa, sizeof(key));
	CHECK_OK(hmac_key_new(&k, slice_of(key, sizeof(key))));
	for (int i = 0; i < 3; i++) {
		hmac_key_sum(k,
		    SLICE_LIT("Test Using Larger Than Block-Size Key - Hash "
			      "Key First"),
		    out);
		CHECK_STR(hex(out, 32), "60e431591ee0b67f0d8a26aacbf5b77f"
					"8e0bc6213728c5140546040f0ee37f54");
	}
	hmac_key_free(k);
	hmac_key_free(NULL);
	CHECK_OK(hmac_key_new(&k, SLICE_EMPTY));
	hmac_key_sum(k, SLICE_EMPTY, out);
	CHECK_STR(hex(out, 32), "b613679a0814d9ec772f95d778c35fc5"
				"ff1697c493715653c6c712144292c5ad");
	hmac_key_free(k);
}

static struct buf
unhex(const char *text)
{
	struct buf b;

	buf_init(&b, 4096);
	CHECK_OK(hex_get(slice_str(text), &b));
	return b;
}

T(gcm_vector)
{
	/* The GCM specification's test case 16, as nonce | ciphertext | tag. */
	struct buf key = unhex("feffe9928665731c6d6a8f9467308308"
			       "feffe9928665731c6d6a8f9467308308");
	struct buf sealed = unhex("cafebabefacedbaddecaf888"
				  "522dc1f099567d07f47f37a32a84427d"
				  "643a8cdcbfe5c0c97598a2bd2555d1aa"
				  "8cb08e48590dbb3da7b08b1056828838"
				  "c5f61e6393ba7a0abcc9f662"
				  "76fc6ece0f4e1768cddf8853bb2d551b");
	struct buf aad = unhex("feedfacedeadbeeffeedfacedeadbeefabaddad2");
	struct seal_ctx *c = seal_ctx_new();
	struct buf plain;

	buf_init(&plain, 4096);
	CHECK_OK(unseal(c, key.p, buf_all(&aad), buf_all(&sealed), &plain));
	CHECK_STR(hex(plain.p, plain.n), "d9313225f88406e5a55909c5aff5269a"
					 "86a7a9531534f7da2e4c303d8a318a72"
					 "1c3c0c95956809532fcf0e2449a6b525"
					 "b16aedf5aa0de657ba637b39");
	buf_fini(&key);
	buf_fini(&sealed);
	buf_fini(&aad);
	buf_fini(&plain);
	seal_ctx_free(c);
	seal_ctx_free(NULL);
}

T(seal_round_trip)
{
	uint8_t key[32], nonces[200][12];
	struct seal_ctx *c = seal_ctx_new();
	struct buf sealed, plain;
	struct slice aad = SLICE_LIT("order:shop/1042"), text;

	random_bytes(key, sizeof(key));
	buf_init(&sealed, 4096);
	buf_init(&plain, 4096);
	for (size_t n = 0; n < 200; n++) {
		static const uint8_t zeros[200];

		buf_reset(&sealed);
		buf_reset(&plain);
		text = slice_of(zeros, n);
		CHECK_OK(seal(c, key, aad, text, &sealed));
		CHECK(sealed.n == n + SEAL_EXTRA);
		memcpy(nonces[n], sealed.p, 12);
		for (size_t k = 0; k < n; k++)
			CHECK(memcmp(nonces[k], nonces[n], 12) != 0);
		CHECK_OK(unseal(c, key, aad, buf_all(&sealed), &plain));
		CHECK(slice_eq(buf_all(&plain), text));
	}
	/* Any one flipped bit: of nonce, text or tag. */
	for (size_t i = 0; i < sealed.n; i++) {
		buf_reset(&plain);
		sealed.p[i] ^= (uint8_t)(1u << i % 8);
		CHECK_ERR(unseal(c, key, aad, buf_all(&sealed), &plain),
		    ERR_SIGNATURE);
		CHECK(plain.n == 0);
		sealed.p[i] ^= (uint8_t)(1u << i % 8);
	}
	CHECK_ERR(unseal(c, key, SLICE_LIT("order:shop/1043"), buf_all(&sealed),
		      &plain),
	    ERR_SIGNATURE);
	CHECK_ERR(unseal(c, key, SLICE_EMPTY, buf_all(&sealed), &plain),
	    ERR_SIGNATURE);
	key[31] ^= 1;
	CHECK_ERR(unseal(c, key, aad, buf_all(&sealed), &plain), ERR_SIGNATURE);
	key[31] ^= 1;
	for (size_t n = 0; n < sealed.n; n += 9)
		CHECK_ERR(unseal(c, key, aad, slice_of(sealed.p, n), &plain),
		    ERR_SIGNATURE);
	CHECK_OK(unseal(c, key, aad, buf_all(&sealed), &plain));
	buf_fini(&plain);
	buf_init(&plain, 10);
	CHECK_ERR(unseal(c, key, aad, buf_all(&sealed), &plain), ERR_LIMIT);
	buf_fini(&sealed);
	buf_fini(&plain);
	seal_ctx_free(c);
}

T(crc)
{
	uint8_t data[300];
	uint32_t a, b;

	CHECK(crc32c(0, "123456789", 9) == 0xe3069283);
	CHECK(crc32c_table(0, "123456789", 9) == 0xe3069283);
	CHECK(crc32c(0, "", 0) == 0);
	/* RFC 3720, B.4: 32 bytes of zeros, of ones, and rising. */
	memset(data, 0, 32);
	CHECK(crc32c(0, data, 32) == 0x8a9136aa);
	memset(data, 0xff, 32);
	CHECK(crc32c(0, data, 32) == 0x62a8ab43);
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)i;
	CHECK(crc32c(0, data, 32) == 0x46dd794e);
	for (size_t n = 0; n < sizeof(data); n++) {
		a = crc32c(0, data, n);
		CHECK(a == crc32c_table(0, data, n));
		b = crc32c(crc32c(0, data, n / 3), data + n / 3, n - n / 3);
		CHECK(a == b);
	}
}

static const char *
b64(struct slice s)
{
	static struct buf b;

	if (b.max == 0)
		buf_init(&b, 1 << 16);
	buf_reset(&b);
	base64_put(&b, s);
	return buf_cstr(&b);
}

T(base64)
{
	static const char *const want[][2] = {{"", ""}, {"f", "Zg=="},
	    {"fo", "Zm8="}, {"foo", "Zm9v"}, {"foob", "Zm9vYg=="},
	    {"fooba", "Zm9vYmE="}, {"foobar", "Zm9vYmFy"}};
	static const char *const bad[] = {"Z", "Zg",
	    "Zg=", "Zg===", "Zh==", "Zm9=", "====", "=Zg=", "Zm-v", "Zm9v\n",
	    "Zg==Zg==", "Zm9v ", "Z=g="};
	struct buf b;

	buf_init(&b, 1 << 10);
	for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
		CHECK_STR(b64(slice_str(want[i][0])), want[i][1]);
		buf_reset(&b);
		CHECK_OK(base64_get(slice_str(want[i][1]), &b));
		CHECK_STR(buf_cstr(&b), want[i][0]);
	}
	buf_reset(&b);
	buf_str(&b, "kept");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		CHECK_ERR(base64_get(slice_str(bad[i]), &b), ERR_SYNTAX);
		CHECK_STR(buf_cstr(&b), "kept");
	}
	for (size_t n = 0; n < 260; n++) {
		uint8_t all[260];
		struct buf back;

		for (size_t i = 0; i < n; i++)
			all[i] = (uint8_t)(i * 7 + n);
		buf_init(&back, 1 << 10);
		CHECK_OK(base64_get(slice_str(b64(slice_of(all, n))), &back));
		CHECK(slice_eq(buf_all(&back), slice_of(all, n)));
		buf_fini(&back);
	}
	buf_fini(&b);
}

T(hexes)
{
	struct buf b;

	buf_init(&b, 64);
	CHECK_OK(hex_get(SLICE_LIT("00fFaB9"
				   "c"),
	    &b));
	CHECK_STR(hex(b.p, b.n), "00ffab9c");
	CHECK_ERR(hex_get(SLICE_LIT("abc"), &b), ERR_SYNTAX);
	CHECK_ERR(hex_get(SLICE_LIT("0g"), &b), ERR_SYNTAX);
	CHECK_ERR(hex_get(SLICE_LIT("0:"), &b), ERR_SYNTAX);
	CHECK_ERR(hex_get(SLICE_LIT(" 0"), &b), ERR_SYNTAX);
	CHECK(b.n == 4);
	buf_fini(&b);
}

T(equality)
{
	CHECK(secret_eq(SLICE_LIT("abc"), SLICE_LIT("abc")));
	CHECK(!secret_eq(SLICE_LIT("abc"), SLICE_LIT("abd")));
	CHECK(!secret_eq(SLICE_LIT("abc"), SLICE_LIT("abcd")));
	CHECK(secret_eq(SLICE_EMPTY, SLICE_EMPTY));
}

/* Each thread's own contexts, one set of algorithms for all: the thread
 * sanitizer's business. */
static void *
hash_away(void *out)
{
	uint8_t sum[HASH_MAX], want[32];
	struct hmac_key *k;
	int wrong = 0;

	sha256(SLICE_LIT("abc"), want);
	wrong += hmac_key_new(&k, SLICE_LIT("key")) != ERR_OK;
	for (int i = 0; i < 100 && wrong == 0; i++) {
		wrong += hash(HASH_SHA256, SLICE_LIT("abc"), sum) != ERR_OK ||
			 memcmp(sum, want, 32) != 0;
		wrong += hmac(HASH_SHA1, SLICE_LIT("k"), SLICE_LIT("d"), sum) !=
			 ERR_OK;
		hmac_key_sum(k, SLICE_LIT("d"), sum);
		wrong += crc32c(0, "123456789", 9) != 0xe3069283;
		random_bytes(sum, sizeof(sum));
	}
	hmac_key_free(k);
	*(int *)out = wrong;
	return NULL;
}

T(threads)
{
	pthread_t t[4];
	int wrong[4] = {1, 1, 1, 1};

	for (int i = 0; i < 4; i++)
		CHECK(pthread_create(&t[i], NULL, hash_away, &wrong[i]) == 0);
	for (int i = 0; i < 4; i++) {
		CHECK(pthread_join(t[i], NULL) == 0);
		CHECK(wrong[i] == 0);
	}
}

T_MAIN(T_RUN(hashes) T_RUN(hmacs) T_RUN(gcm_vector) T_RUN(seal_round_trip)
	T_RUN(crc) T_RUN(base64) T_RUN(hexes) T_RUN(equality) T_RUN(threads))
