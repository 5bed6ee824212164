/*
 * crypt - what we take from OpenSSL's libcrypto, and encodings of bytes as
 * text. All functions are thread-safe. Failures of libcrypto itself are
 * ERR_NOMEM.
 */
#ifndef VAYLA_BASE_CRYPT_H
#define VAYLA_BASE_CRYPT_H

#include "broker/base/buf.h"

enum hash_alg { HASH_MD5, HASH_SHA1, HASH_SHA256, HASH_SHA512, HASH_NONE };
#define HASH_MAX 64

enum hash_alg hash_by_name(struct slice name); /* "sha256"; HASH_NONE */
size_t hash_size(enum hash_alg a);

void sha256(struct slice data, uint8_t out[32]);
enum err hash(
    enum hash_alg a, struct slice data, uint8_t out[HASH_MAX]) MUST_CHECK;
enum err hmac(enum hash_alg a, struct slice key, struct slice data,
    uint8_t out[HASH_MAX]) MUST_CHECK;

/* A prepared HMAC-SHA256 key for many short messages; one thread at a time. */
struct hmac_key;
enum err hmac_key_new(struct hmac_key **out, struct slice key) MUST_CHECK;
void hmac_key_free(struct hmac_key *k);
void hmac_key_sum(struct hmac_key *k, struct slice data, uint8_t out[32]);

/* Equal? In time that depends on the lengths only. */
bool secret_eq(struct slice a, struct slice b);
void secret_wipe(void *p, size_t n);
void random_bytes(void *p, size_t n); /* dies if the system has none */

/* AES-256-GCM. out grows by plaintext + 28: nonce (12, random), ciphertext,
 * tag (16). `aad` is authenticated, not stored. */
#define SEAL_EXTRA 28
struct seal_ctx; /* reusable cipher contexts of one thread */
struct seal_ctx *seal_ctx_new(void);
void seal_ctx_free(struct seal_ctx *c);
enum err seal(struct seal_ctx *c, const uint8_t key[32], struct slice aad,
    struct slice plain, struct buf *out) MUST_CHECK;
/* ERR_SIGNATURE when key, aad or bytes are not those of the sealing. */
enum err unseal(struct seal_ctx *c, const uint8_t key[32], struct slice aad,
    struct slice sealed, struct buf *out) MUST_CHECK;

/* CRC-32C (Castagnoli), RFC 3720 B.4: "123456789" is e3069283. Start with 0;
 * feed the result back in to go on. */
uint32_t crc32c(uint32_t crc, const void *p, size_t n);
/* The same without the processor's instruction, for tests and old machines. */
uint32_t crc32c_table(uint32_t crc, const void *p, size_t n);

void hex_put(struct buf *out, struct slice bytes); /* lower case */
enum err hex_get(struct slice text, struct buf *out) MUST_CHECK;
void base64_put(struct buf *out, struct slice bytes); /* padded, standard */
enum err base64_get(struct slice text, struct buf *out) MUST_CHECK;

#endif
