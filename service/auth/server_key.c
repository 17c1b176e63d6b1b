/* SPDX-License-Identifier: Apache-2.0 */
#include "service/auth/server_key.h"

#include "common/base/base64.h"
#include "common/base/file.h"
#include "common/base/xalloc.h"

#include <errno.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/kdf.h>
#include <string.h>
#include <sys/stat.h>

/* Sealed text: "v1.KEYID.BASE64URL(nonce, ciphertext, tag)". */
enum {
	KEY_ID_BYTES = 8,
	NONCE_BYTES = 12,
	TAG_BYTES = 16,
	SEALED_MAX_BYTES = 1 << 20,
	AAD_MAX_BYTES = 256,
};

struct derived {
	uint8_t seal[SERVER_KEY_BYTES];  /* AES-256-GCM */
	uint8_t token[SERVER_KEY_BYTES]; /* HMAC-SHA-256 */
	char id[2 * KEY_ID_BYTES + 1];   /* tells keys apart and nothing else of them */
};

struct server_key {
	struct derived keys[SERVER_KEYS_MAX];
	size_t n;
};

static void hkdf(const uint8_t key[SERVER_KEY_BYTES], const char *info, uint8_t *ret, size_t n)
{
	uint8_t in[SERVER_KEY_BYTES];
	memcpy(in, key, sizeof in);
	char label[64];
	size_t label_n = strlen(info);
	memcpy(label, info, label_n);
	char digest[] = "SHA256";
	EVP_KDF *kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
	EVP_KDF_CTX *ctx = EVP_KDF_CTX_new(kdf);
	const OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, in, sizeof in),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, label, label_n),
		OSSL_PARAM_construct_end(),
	};
	if (!ctx || EVP_KDF_derive(ctx, ret, n, params) != 1)
		abort(); /* nothing safe can follow */
	EVP_KDF_CTX_free(ctx);
	EVP_KDF_free(kdf);
	secret_wipe(in, sizeof in);
}

static void derive(const uint8_t key[SERVER_KEY_BYTES], struct derived *ret)
{
	uint8_t id[KEY_ID_BYTES];
	hkdf(key, "token-service seal v1", ret->seal, sizeof ret->seal);
	hkdf(key, "token-service token secret v1", ret->token, sizeof ret->token);
	hkdf(key, "token-service key id v1", id, sizeof id);
	hex_encode(id, sizeof id, ret->id);
}

static bool parse_line(struct str line, uint8_t ret[SERVER_KEY_BYTES])
{
	if (hex_decode(line, ret, SERVER_KEY_BYTES))
		return true;
	_cleanup_buf_ struct buf bytes;
	buf_init(&bytes, 256);
	bool ok = line.n <= 44 && base64_decode(&bytes, line) && bytes.n == SERVER_KEY_BYTES;
	if (ok)
		memcpy(ret, bytes.p, SERVER_KEY_BYTES);
	return ok;
}

struct status server_key_parse(struct str text, struct server_key **ret)
{
	_cleanup_(server_key_freep) struct server_key *k = xnew(struct server_key);
	struct str line;
	for (unsigned number = 1; str_split(&text, '\n', &line); number++) {
		line = str_trim(line);
		if (!line.n)
			continue;
		uint8_t key[SERVER_KEY_BYTES];
		bool ok = parse_line(line, key);
		if (ok && k->n < SERVER_KEYS_MAX)
			derive(key, &k->keys[k->n]);
		secret_wipe(key, sizeof key);
		if (!ok)
			return status_error(STATUS_INVALID_ARGUMENT,
				"line %u is no key: 64 hexadecimal digits, or base64 of %d bytes, "
				"are expected",
				number, SERVER_KEY_BYTES);
		if (k->n == SERVER_KEYS_MAX)
			return status_error(STATUS_INVALID_ARGUMENT, "there are more than %d keys",
				SERVER_KEYS_MAX);
		k->n++;
	}
	if (!k->n)
		return status_error(STATUS_INVALID_ARGUMENT, "there is no key");
	*ret = TAKE_PTR(k);
	return status_ok();
}

void server_key_free(struct server_key *k)
{
	if (!k)
		return;
	secret_wipe(k, sizeof *k);
	free(k);
}

struct status server_key_read(const char *path, struct server_key **ret)
{
	_cleanup_secret_ struct secret text = {NULL, 0};
	TRY(file_read_secret(path, true, &text));
	struct status status = server_key_parse(secret_str(&text), ret);
	if (!status_is_ok(&status))
		return status_error(status.code, "'%s': %s", path, status.message);
	return status;
}

/* Not the group: a volume with fsGroup is the group's to read after each start of a pod. */
static struct status check_mode(const char *path)
{
	struct stat st;
	if (stat(path, &st) != 0)
		return file_status(errno, "look at", path);
	if (st.st_mode & 07)
		return status_error(STATUS_FAILED_PRECONDITION,
			"'%s' may be read or changed by everybody (mode %04o); chmod 600 makes it "
			"private, but whoever has read it can read the signing keys",
			path, (unsigned)(st.st_mode & 07777));
	return status_ok();
}

static struct status make(const char *path, const struct random *random)
{
	uint8_t key[SERVER_KEY_BYTES];
	char text[2 * SERVER_KEY_BYTES + 2];
	random_bytes(random, key, sizeof key);
	hex_encode(key, sizeof key, text);
	text[2 * SERVER_KEY_BYTES] = '\n';
	struct status status =
		file_write_atomic(path, (struct str){text, 2 * SERVER_KEY_BYTES + 1}, 0600);
	secret_wipe(key, sizeof key);
	secret_wipe(text, sizeof text);
	return status;
}

struct status server_key_read_or_make(
	const char *path, const struct random *random, struct server_key **ret)
{
	struct status status = check_mode(path);
	if (status.code == STATUS_NOT_FOUND && random)
		status = make(path, random);
	TRY(status);
	return server_key_read(path, ret);
}

bool server_key_derive_token(
	const struct server_key *k, size_t which, const uint8_t salt[32], uint8_t ret[32])
{
	unsigned n = 32;
	if (which >= k->n)
		return false;
	if (!HMAC(EVP_sha256(), k->keys[which].token, SERVER_KEY_BYTES, salt, 32, ret, &n))
		abort();
	return true;
}

/* --- Sealing --- */

/* What a sealed text is bound to, besides its key. */
static size_t make_aad(const char *purpose, const char *key_id, char ret[AAD_MAX_BYTES])
{
	struct str p = str_of(purpose), id = str_of(key_id);
	if (p.n + id.n + 1 > AAD_MAX_BYTES)
		abort();
	memcpy(ret, p.p, p.n + 1); /* with the NUL between them */
	memcpy(ret + p.n + 1, id.p, id.n);
	return p.n + 1 + id.n;
}

/* AES-256-GCM over @n bytes in place, either way. False if the tag does not fit (opening). */
static bool gcm(const struct derived *key, const char *purpose, bool seal,
	const uint8_t nonce[NONCE_BYTES], uint8_t *bytes, size_t n, uint8_t tag[TAG_BYTES])
{
	char aad[AAD_MAX_BYTES];
	size_t aad_n = make_aad(purpose, key->id, aad);
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	int done;
	bool ok = ctx &&
		  EVP_CipherInit_ex(ctx, EVP_aes_256_gcm(), NULL, key->seal, nonce, seal) == 1 &&
		  EVP_CipherUpdate(ctx, NULL, &done, (const uint8_t *)aad, (int)aad_n) == 1 &&
		  EVP_CipherUpdate(ctx, bytes, &done, bytes, (int)n) == 1;
	if (ok && !seal)
		ok = EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_SET_TAG, TAG_BYTES, tag) == 1;
	ok = ok && EVP_CipherFinal_ex(ctx, bytes + n, &done) == 1;
	if (ok && seal)
		ok = EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_GET_TAG, TAG_BYTES, tag) == 1;
	EVP_CIPHER_CTX_free(ctx);
	if (!ok)
		ERR_clear_error();
	return ok;
}

void server_key_seal(const struct server_key *k, const char *purpose, struct str plain,
	const struct random *random, struct buf *out)
{
	const struct derived *key = &k->keys[0];
	size_t n = NONCE_BYTES + plain.n + TAG_BYTES;
	uint8_t *bytes = xmalloc(n);
	random_bytes(random, bytes, NONCE_BYTES);
	if (plain.n)
		memcpy(bytes + NONCE_BYTES, plain.p, plain.n);
	if (!gcm(key, purpose, true, bytes, bytes + NONCE_BYTES, plain.n, bytes + n - TAG_BYTES))
		abort();
	buf_printf(out, "v1.%s.", key->id);
	base64_encode(out, BASE64_URL, bytes, n);
	free(bytes);
}

static const struct derived *find_key(const struct server_key *k, struct str id)
{
	for (size_t i = 0; i < k->n; i++)
		if (str_eq(str_of(k->keys[i].id), id))
			return &k->keys[i];
	return NULL;
}

struct status server_key_open(const struct server_key *k, const char *purpose, struct str sealed,
	struct buf *out, bool *ret_is_first)
{
	struct str version, id, text;
	if (!str_split(&sealed, '.', &version) || !str_eq(version, STR("v1")) ||
		!str_split(&sealed, '.', &id) || !str_split(&sealed, '.', &text) || sealed.p)
		return status_error(STATUS_DATA_LOSS, "it is no sealed text of this service");
	const struct derived *key = find_key(k, id);
	if (!key)
		return status_error(STATUS_FAILED_PRECONDITION,
			"it was encrypted under another key (its id is %.*s; the id of the key "
			"in use is %s)",
			STR_ARG(str_sub(id, 0, 2 * KEY_ID_BYTES)), k->keys[0].id);
	_cleanup_buf_ struct buf bytes;
	buf_init(&bytes, SEALED_MAX_BYTES);
	if (!base64_decode(&bytes, text) || bytes.n < NONCE_BYTES + TAG_BYTES)
		return status_error(STATUS_DATA_LOSS, "it is damaged");
	uint8_t *nonce = (uint8_t *)bytes.p, *body = nonce + NONCE_BYTES;
	size_t n = bytes.n - NONCE_BYTES - TAG_BYTES;
	if (!gcm(key, purpose, false, nonce, body, n, body + n))
		return status_error(STATUS_DATA_LOSS, "it is damaged, or is something else");
	buf_append(out, body, n);
	*ret_is_first = key == &k->keys[0];
	return status_ok();
}
