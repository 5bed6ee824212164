/*
 * crypt - see crypt.h. Algorithms are fetched once (OpenSSL 3 looks them up
 * anew in each EVP_sha256() operation otherwise) and contexts are kept: one of
 * each thread for hash and HMAC, a seal_ctx for AES.
 */
#include <errno.h>
/* OpenSSL has a type of this name, which we do not use; err.h has a code. */
#define ERR_STATE openssl_err_state
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#undef ERR_STATE
#include <pthread.h>
#include <stdlib.h>
#include <sys/random.h>

#include "broker/base/crypt.h"

#define NONCE 12
#define TAG 16

static const struct {
	const char *name, *evp;
	size_t size;
} algs[HASH_NONE] = {[HASH_MD5] = {"md5", "MD5", 16},
    [HASH_SHA1] = {"sha1", "SHA1", 20},
    [HASH_SHA256] = {"sha256", "SHA256", 32},
    [HASH_SHA512] = {"sha512", "SHA512", 64}};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static EVP_MD *md[HASH_NONE];
static EVP_MAC *mac;
static EVP_CIPHER *gcm;
static pthread_key_t thread_key;

/* A thread's contexts; freed when it ends. */
struct contexts {
	EVP_MD_CTX *md;
};

static void
contexts_free(void *p)
{
	struct contexts *c = p;

	EVP_MD_CTX_free(c->md);
	free(c);
}

static void
prepare(void)
{
	for (int i = 0; i < HASH_NONE; i++)
		md[i] = EVP_MD_fetch(NULL, algs[i].evp, NULL);
	mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
	gcm = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
	if (md[HASH_SHA256] == NULL || mac == NULL || gcm == NULL)
		err_die("libcrypto has no SHA-256, HMAC or AES-256-GCM");
	if (pthread_key_create(&thread_key, contexts_free) != 0)
		err_die("no thread key for libcrypto's contexts");
}

static EVP_MD_CTX *
thread_md(void)
{
	struct contexts *c;

	pthread_once(&once, prepare);
	c = pthread_getspecific(thread_key);
	if (c == NULL) {
		c = calloc(1, sizeof(*c));
		if (c == NULL)
			return NULL;
		if (pthread_setspecific(thread_key, c) != 0) {
			free(c);
			return NULL;
		}
	}
	if (c->md == NULL)
		c->md = EVP_MD_CTX_new();
	return c->md;
}

static enum err
failed(const char *what)
{
	return err_note(ERR_NOMEM, "libcrypto cannot %s", what);
}

enum hash_alg
hash_by_name(struct slice name)
{
	for (int i = 0; i < HASH_NONE; i++)
		if (slice_is(name, algs[i].name))
			return (enum hash_alg)i;
	return HASH_NONE;
}

size_t
hash_size(enum hash_alg a)
{
	return a < HASH_NONE ? algs[a].size : 0;
}

enum err
hash(enum hash_alg a, struct slice data, uint8_t out[HASH_MAX])
{
	EVP_MD_CTX *c = thread_md();

	if (a >= HASH_NONE)
		return err_note(ERR_RANGE, "no such hash");
	if (c == NULL || md[a] == NULL ||
	    EVP_DigestInit_ex2(c, md[a], NULL) != 1 ||
	    EVP_DigestUpdate(c, data.p, data.n) != 1 ||
	    EVP_DigestFinal_ex(c, out, NULL) != 1)
		return failed("hash");
	return ERR_OK;
}

void
sha256(struct slice data, uint8_t out[32])
{
	uint8_t all[HASH_MAX];

	/* Of one fetched algorithm and a fixed-size context: nothing that a
	 * peer chooses can make it fail. */
	if (hash(HASH_SHA256, data, all) != ERR_OK)
		err_die("%s", err_last());
	memcpy(out, all, 32);
}

static bool
mac_init(EVP_MAC_CTX *c, enum hash_alg a, struct slice key)
{
	char name[16];
	OSSL_PARAM params[2];

	memcpy(name, algs[a].evp, strlen(algs[a].evp) + 1);
	params[0] =
	    OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, name, 0);
	params[1] = OSSL_PARAM_construct_end();
	return EVP_MAC_init(c, key.p, key.n, params) == 1;
}

enum err
hmac(
    enum hash_alg a, struct slice key, struct slice data, uint8_t out[HASH_MAX])
{
	EVP_MAC_CTX *c;
	size_t n;
	bool ok;

	if (a >= HASH_NONE)
		return err_note(ERR_RANGE, "no such hash");
	pthread_once(&once, prepare);
	c = EVP_MAC_CTX_new(mac);
	ok = c != NULL && mac_init(c, a, key) &&
	     EVP_MAC_update(c, data.p, data.n) == 1 &&
	     EVP_MAC_final(c, out, &n, HASH_MAX) == 1;
	EVP_MAC_CTX_free(c);
	return ok ? ERR_OK : failed("compute an HMAC");
}

struct hmac_key {
	EVP_MAC_CTX *ctx;
};

enum err
hmac_key_new(struct hmac_key **out, struct slice key)
{
	struct hmac_key *k;

	pthread_once(&once, prepare);
	k = calloc(1, sizeof(*k));
	if (k == NULL)
		return err_note(ERR_NOMEM, "no memory for a key");
	k->ctx = EVP_MAC_CTX_new(mac);
	if (k->ctx == NULL || !mac_init(k->ctx, HASH_SHA256, key)) {
		hmac_key_free(k);
		return failed("prepare an HMAC key");
	}
	*out = k;
	return ERR_OK;
}

void
hmac_key_free(struct hmac_key *k)
{
	if (k == NULL)
		return;
	EVP_MAC_CTX_free(k->ctx);
	free(k);
}

void
hmac_key_sum(struct hmac_key *k, struct slice data, uint8_t out[32])
{
	size_t n;

	/* Without a key, init starts anew under the one it has. */
	if (EVP_MAC_init(k->ctx, NULL, 0, NULL) != 1 ||
	    EVP_MAC_update(k->ctx, data.p, data.n) != 1 ||
	    EVP_MAC_final(k->ctx, out, &n, 32) != 1)
		err_die("libcrypto cannot compute an HMAC");
}

bool
secret_eq(struct slice a, struct slice b)
{
	return a.n == b.n && CRYPTO_memcmp(a.p, b.p, a.n) == 0;
}

void
secret_wipe(void *p, size_t n)
{
	OPENSSL_cleanse(p, n);
}

void
random_bytes(void *p, size_t n)
{
	uint8_t *to = p;
	ssize_t r;

	while (n > 0) {
		r = getrandom(to, n, 0);
		if (r < 0 && errno == EINTR)
			continue;
		if (r <= 0)
			err_die("the system gives no random bytes");
		to += r;
		n -= (size_t)r;
	}
}

/* Nonces come from a pool, as a system call a seal would cost more than the
 * cipher. */
struct seal_ctx {
	EVP_CIPHER_CTX *enc, *dec;
	size_t left; /* unused bytes at the end of the pool */
	uint8_t pool[NONCE * 64];
};

struct seal_ctx *
seal_ctx_new(void)
{
	struct seal_ctx *c;

	pthread_once(&once, prepare);
	c = calloc(1, sizeof(*c));
	if (c == NULL)
		err_die("no memory for a cipher context");
	c->enc = EVP_CIPHER_CTX_new();
	c->dec = EVP_CIPHER_CTX_new();
	if (c->enc == NULL || c->dec == NULL ||
	    EVP_EncryptInit_ex2(c->enc, gcm, NULL, NULL, NULL) != 1 ||
	    EVP_DecryptInit_ex2(c->dec, gcm, NULL, NULL, NULL) != 1)
		err_die("libcrypto cannot prepare AES-256-GCM");
	return c;
}

void
seal_ctx_free(struct seal_ctx *c)
{
	if (c == NULL)
		return;
	EVP_CIPHER_CTX_free(c->enc);
	EVP_CIPHER_CTX_free(c->dec);
	secret_wipe(c->pool, sizeof(c->pool));
	free(c);
}

static void
nonce(struct seal_ctx *c, uint8_t out[NONCE])
{
	if (c->left < NONCE) {
		random_bytes(c->pool, sizeof(c->pool));
		c->left = sizeof(c->pool);
	}
	memcpy(out, c->pool + sizeof(c->pool) - c->left, NONCE);
	c->left -= NONCE;
}

enum err
seal(struct seal_ctx *c, const uint8_t key[32], struct slice aad,
    struct slice plain, struct buf *out)
{
	uint8_t *to;
	int n;

	if (plain.n > INT32_MAX - SEAL_EXTRA || aad.n > INT32_MAX)
		return err_note(ERR_LIMIT, "%zu bytes to seal", plain.n);
	to = buf_room(out, plain.n + SEAL_EXTRA);
	if (to == NULL)
		return buf_check(out);
	nonce(c, to);
	if (EVP_EncryptInit_ex2(c->enc, NULL, key, to, NULL) != 1 ||
	    (aad.n > 0 &&
		EVP_EncryptUpdate(c->enc, NULL, &n, aad.p, (int)aad.n) != 1) ||
	    (plain.n > 0 && EVP_EncryptUpdate(c->enc, to + NONCE, &n, plain.p,
				(int)plain.n) != 1) ||
	    EVP_EncryptFinal_ex(c->enc, to + NONCE + plain.n, &n) != 1 ||
	    EVP_CIPHER_CTX_ctrl(
		c->enc, EVP_CTRL_AEAD_GET_TAG, TAG, to + NONCE + plain.n) != 1)
		return failed("seal");
	out->n += plain.n + SEAL_EXTRA;
	return ERR_OK;
}

enum err
unseal(struct seal_ctx *c, const uint8_t key[32], struct slice aad,
    struct slice sealed, struct buf *out)
{
	uint8_t tag[TAG], *to;
	size_t len;
	int n;

	if (sealed.n < SEAL_EXTRA || sealed.n > INT32_MAX || aad.n > INT32_MAX)
		return err_note(
		    ERR_SIGNATURE, "no sealed value: %zu bytes", sealed.n);
	len = sealed.n - SEAL_EXTRA;
	to = buf_room(out, len > 0 ? len : 1);
	if (to == NULL)
		return buf_check(out);
	memcpy(tag, sealed.p + NONCE + len, TAG);
	if (EVP_DecryptInit_ex2(c->dec, NULL, key, sealed.p, NULL) != 1 ||
	    (aad.n > 0 &&
		EVP_DecryptUpdate(c->dec, NULL, &n, aad.p, (int)aad.n) != 1) ||
	    (len > 0 && EVP_DecryptUpdate(
			    c->dec, to, &n, sealed.p + NONCE, (int)len) != 1) ||
	    EVP_CIPHER_CTX_ctrl(c->dec, EVP_CTRL_AEAD_SET_TAG, TAG, tag) != 1)
		return failed("unseal");
	if (EVP_DecryptFinal_ex(c->dec, to + len, &n) != 1) {
		/* What was decrypted is not to be trusted, nor to be kept. */
		secret_wipe(to, len);
		return err_note(ERR_SIGNATURE,
		    "a sealed value does not open with this key");
	}
	out->n += len;
	return ERR_OK;
}
