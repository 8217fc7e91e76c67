/* SPDX-License-Identifier: Apache-2.0 */
#include "tls.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"

enum {
    FILE_BYTES_MAX = 4 << 20, /* the certificates of a whole machine are 220 KB */
    PASSWORD_BYTES_MAX = 1024,
    NAME_BYTES = 24,
};

struct tls_identity {
    struct tls_identity *next;
    const struct tls_config *config; /* of the first endpoint that has it */
    char name[NAME_BYTES];
    X509_STORE *trusted;    /* NULL: nothing is verified */
    X509 *cert;             /* NULL: none is shown */
    STACK_OF(X509) * chain; /* from `cert` upward, without it */
    EVP_PKEY *key;
};

struct tls_set {
    struct tls_identity *identities;
    const struct tls_identity **by_endpoint;
    X509_STORE *machine; /* whom the machine trusts; NULL: nobody asked */
    bool has_tried_machine;
};

/* ---- files ---------------------------------------------------------------------------------------------- */

static const char *openssl_reason(void)
{
    const char *reason = ERR_reason_error_string(ERR_peek_last_error());
    return reason == NULL ? "no reason given" : reason;
}

/* A line about a file: where it was asked for, its path, what is wrong with it. */
static PRINTF_LIKE(3, 4) void complain(struct buf *messages, const struct tls_file *file, const char *format, ...)
{
    char why[LIMIT_ERR_TEXT_BYTES_MAX];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(why, sizeof(why), format, arguments); /* cut text is still a sentence begun */
    va_end(arguments);
    buf_appendf(messages, "%.*s: the file %.*s %s\n", (int)file->where.size, (const char *)file->where.data,
                (int)file->path.size, (const char *)file->path.data, why);
    ERR_clear_error();
}

/* Frees what may be secret. */
static void forget(struct buf *buf)
{
    OPENSSL_cleanse(buf->data, buf->capacity);
    buf_done(buf);
}

/* Opens what is on a disk: a pipe might never come to its end. NULL after complaining. */
static FILE *open_file(const struct tls_file *file, struct buf *messages)
{
    char name[LIMIT_PATH_BYTES_MAX + 1];
    struct stat status;

    (void)snprintf(name, sizeof(name), "%.*s", (int)file->path.size, (const char *)file->path.data);
    const int fd = open(name, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* of a pipe: whether or not somebody writes */
    if (fd < 0) {
        complain(messages, file, "cannot be opened: %s", strerror(errno));
        return NULL;
    }
    check(fstat(fd, &status) == 0); /* of an open descriptor */
    if (!S_ISREG(status.st_mode)) {
        complain(messages, file, "cannot be read: %s",
                 S_ISDIR(status.st_mode) ? strerror(EISDIR) : "it is no regular file");
        (void)close(fd); /* read only: nothing can be lost */
        return NULL;
    }
    FILE *stream = fdopen(fd, "rb");
    check(stream != NULL);
    return stream;
}

/* Reads a whole file. False, after complaining, if that cannot be done. */
static bool read_file(const struct tls_file *file, size_t bytes_max, struct buf *out, struct buf *messages)
{
    FILE *stream = open_file(file, messages);
    bool is_good = false;

    if (stream == NULL) {
        return false;
    }
    buf_init(out, bytes_max + 1);
    uint8_t *at = buf_reserve(out, bytes_max + 1);
    check(at != NULL);
    out->size = fread(at, 1, bytes_max + 1, stream);
    if (ferror(stream) != 0) {
        complain(messages, file, "cannot be read: %s", strerror(errno));
    } else if (out->size > bytes_max) {
        complain(messages, file, "is over %zu bytes", bytes_max);
    } else {
        is_good = true;
    }
    (void)fclose(stream); /* read only: nothing can be lost */
    if (!is_good) {
        forget(out);
    }
    return is_good;
}

static BIO *bio_of(const struct buf *buf)
{
    BIO *bio = BIO_new_mem_buf(buf->size == 0 ? (const void *)"" : buf->data, (int)buf->size);
    check(bio != NULL);
    return bio;
}

/* The certificates of a file in PEM, at least one; NULL after complaining. */
static STACK_OF(X509) * read_certs(const struct tls_file *file, struct buf *messages)
{
    STACK_OF(X509) *certs = sk_X509_new_null();
    struct buf bytes;
    X509 *cert = NULL;

    check(certs != NULL);
    if (!read_file(file, FILE_BYTES_MAX, &bytes, messages)) {
        sk_X509_free(certs);
        return NULL;
    }
    BIO *bio = bio_of(&bytes);
    ERR_clear_error();
    while ((cert = PEM_read_bio_X509_AUX(bio, NULL, NULL, NULL)) != NULL) {
        check(sk_X509_push(certs, cert) > 0);
    }
    const bool is_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
    const int count = sk_X509_num(certs);
    if (!is_end) {
        complain(messages, file, "has a certificate that cannot be read, number %d in it: %s", count + 1,
                 openssl_reason());
    } else if (count == 0) {
        complain(messages, file, "holds no certificate; it wants PEM: -----BEGIN CERTIFICATE----- and so on");
    }
    ERR_clear_error();
    (void)BIO_free(bio);
    forget(&bytes); /* a key may stand beside the certificate */
    if (!is_end || count == 0) {
        sk_X509_pop_free(certs, X509_free);
        return NULL;
    }
    return certs;
}

/* ---- whom to trust -------------------------------------------------------------------------------------- */

/* The certificates of a file as those to trust; NULL after complaining. */
static X509_STORE *read_store(const struct tls_file *file, struct buf *messages)
{
    STACK_OF(X509) *certs = read_certs(file, messages);
    if (certs == NULL) {
        return NULL;
    }
    X509_STORE *store = X509_STORE_new();
    check(store != NULL);
    for (int i = 0; i < sk_X509_num(certs); i++) {
        check(X509_STORE_add_cert(store, sk_X509_value(certs, i)) == 1); /* doubles are no error */
    }
    sk_X509_pop_free(certs, X509_free);
    /* As libcurl does with its own: what stands in the file is trusted, be it no root. */
    check(X509_STORE_set_flags(store, X509_V_FLAG_TRUSTED_FIRST | X509_V_FLAG_PARTIAL_CHAIN) == 1);
    return store;
}

/* Where this machine keeps them: SSL_CERT_FILE, as everything on OpenSSL has it, else the first that is there. */
static const char *machine_file(void)
{
    static const char *const names[] = {"/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt"};
    const char *named = getenv(X509_get_default_cert_file_env());

    if (named != NULL && named[0] != '\0') {
        return named;
    }
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (access(names[i], F_OK) == 0) {
            return names[i];
        }
    }
    return X509_get_default_cert_file();
}

static X509_STORE *machine_store(struct tls_set *set, const struct endpoint_config *endpoint, struct buf *messages)
{
    if (!set->has_tried_machine) {
        const struct tls_file file = {.path = slice_of(machine_file()), .where = endpoint->url};
        set->has_tried_machine = true;
        set->machine = read_store(&file, messages);
        if (set->machine == NULL) {
            buf_append_text(messages, "https:// needs to know whom to trust: install ca-certificates, set "
                                      "SSL_CERT_FILE, or name a file under tls.ca\n");
        }
    }
    return set->machine;
}

/* ---- what is shown -------------------------------------------------------------------------------------- */

struct password {
    struct slice text;
    bool is_wanted; /* the key was found to be encrypted */
};

static int on_password(char *out, int size, int is_writing, void *context)
{
    struct password *password = context;
    (void)is_writing;
    password->is_wanted = true;
    if (password->text.size == 0 || password->text.size > (size_t)size) {
        return -1;
    }
    memcpy(out, password->text.data, password->text.size);
    return (int)password->text.size;
}

static EVP_PKEY *parse_key(const struct buf *bytes, struct password *password)
{
    BIO *bio = bio_of(bytes);
    ERR_clear_error();
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, on_password, password);
    (void)BIO_free(bio);
    return key;
}

/* The whole content of its file is the password; one that an editor has put a line end behind opens the key too. */
static EVP_PKEY *parse_key_with(const struct buf *bytes, struct password *password)
{
    EVP_PKEY *key = parse_key(bytes, password);
    struct slice *text = &password->text;

    if (key == NULL && text->size > 0 && text->data[text->size - 1] == '\n') {
        text->size -= text->size > 1 && text->data[text->size - 2] == '\r' ? 2 : 1;
        key = parse_key(bytes, password);
    }
    return key;
}

static void complain_of_key(const struct tls_config *config, const struct password *password, struct buf *messages)
{
    if (!password->is_wanted) {
        complain(messages, &config->key,
                 "holds no private key that can be read: %s; it wants PEM: -----BEGIN PRIVATE KEY----- and so on",
                 openssl_reason());
    } else if (config->key_password.path.size == 0) {
        complain(messages, &config->key, "is encrypted; name the file with its password beside it");
    } else {
        complain(messages, &config->key_password, "does not hold the password of the key: %s", openssl_reason());
    }
}

static EVP_PKEY *read_key(const struct tls_config *config, struct buf *messages)
{
    const bool has_password = config->key_password.path.size > 0;
    struct buf secret = {0};
    struct buf bytes;
    EVP_PKEY *key = NULL;

    const bool is_good = !has_password || read_file(&config->key_password, PASSWORD_BYTES_MAX, &secret, messages);
    if (read_file(&config->key, FILE_BYTES_MAX, &bytes, messages)) {
        struct password password = {buf_slice(&secret), false};
        key = is_good ? parse_key_with(&bytes, &password) : NULL;
        if (is_good && key == NULL) {
            complain_of_key(config, &password, messages);
        }
        forget(&bytes);
    }
    forget(&secret);
    ERR_clear_error();
    return key;
}

/* Reads certificate and key, and sees that they are a pair. */
static bool read_pair(struct tls_identity *identity, struct buf *messages)
{
    const struct tls_config *config = identity->config;

    identity->chain = read_certs(&config->cert, messages);
    identity->key = read_key(config, messages);
    if (identity->chain == NULL || identity->key == NULL) {
        return false;
    }
    identity->cert = sk_X509_shift(identity->chain);
    if (X509_check_private_key(identity->cert, identity->key) != 1) {
        complain(messages, &config->key, "is not the key of the certificate in %.*s", (int)config->cert.path.size,
                 (const char *)config->cert.path.data);
        return false;
    }
    return true;
}

/* ---- identities ----------------------------------------------------------------------------------------- */

static bool is_same(const struct tls_config *a, const struct tls_config *b)
{
    return a->no_verify == b->no_verify && slice_equal(a->ca.path, b->ca.path) &&
           slice_equal(a->cert.path, b->cert.path) && slice_equal(a->key.path, b->key.path) &&
           slice_equal(a->key_password.path, b->key_password.path);
}

/* False after complaining; the identity is in the set all the same, so that it is complained about once. */
static bool add_identity(struct tls_set *set, const struct endpoint_config *endpoint, uint32_t index,
                         struct buf *messages)
{
    const struct tls_config *config = &endpoint->tls;
    struct tls_identity *identity = calloc(1, sizeof(*identity));
    bool is_good = true;

    check(identity != NULL);
    identity->config = config;
    (void)snprintf(identity->name, sizeof(identity->name), "identity %u", index);
    identity->next = set->identities;
    set->identities = identity;
    set->by_endpoint[index] = identity;
    if (!config->no_verify) {
        const bool is_own = config->ca.path.size > 0;
        identity->trusted = is_own ? read_store(&config->ca, messages) : machine_store(set, endpoint, messages);
        is_good = identity->trusted != NULL;
        if (!is_own && is_good) {
            check(X509_STORE_up_ref(identity->trusted) == 1);
        }
    }
    if (config->cert.path.size > 0) {
        is_good &= read_pair(identity, messages);
    }
    return is_good;
}

static bool is_https(const struct endpoint_config *endpoint)
{
    return slice_begins_with(endpoint->url, SLICE("https://"));
}

enum err_code tls_load(const struct registry *registry, struct tls_set **out, struct buf *messages)
{
    struct tls_set *set = calloc(1, sizeof(*set));
    bool is_good = true;

    check(set != NULL);
    set->by_endpoint = calloc(registry->endpoint_count + 1, sizeof(struct tls_identity *));
    check(set->by_endpoint != NULL);
    for (uint32_t i = 0; i < registry->endpoint_count; i++) {
        const struct endpoint_config *endpoint = &registry->endpoints[i];
        const struct tls_identity *same = set->identities;
        if (!is_https(endpoint)) {
            continue;
        }
        while (same != NULL && !is_same(same->config, &endpoint->tls)) {
            same = same->next;
        }
        if (same != NULL) {
            set->by_endpoint[i] = same;
        } else {
            is_good &= add_identity(set, endpoint, i, messages);
        }
    }
    if (!is_good) {
        tls_unload(set);
        return ERR_CONFIG;
    }
    *out = set;
    return ERR_NONE;
}

void tls_unload(struct tls_set *set)
{
    if (set == NULL) {
        return;
    }
    while (set->identities != NULL) {
        struct tls_identity *identity = set->identities;
        set->identities = identity->next;
        X509_STORE_free(identity->trusted); /* these accept NULL */
        X509_free(identity->cert);
        sk_X509_pop_free(identity->chain, X509_free);
        EVP_PKEY_free(identity->key);
        free(identity);
    }
    X509_STORE_free(set->machine);
    free(set->by_endpoint);
    free(set);
}

const struct tls_identity *tls_of(const struct tls_set *set, uint32_t endpoint)
{
    return set->by_endpoint[endpoint];
}

const char *tls_name(const struct tls_identity *identity)
{
    return identity->name;
}

bool tls_is_verified(const struct tls_identity *identity)
{
    return !identity->config->no_verify;
}

bool tls_apply(const struct tls_identity *identity, void *ssl_ctx)
{
    if (identity->trusted != NULL) {
        SSL_CTX_set1_cert_store(ssl_ctx, identity->trusted);
    }
    return identity->cert == NULL ||
           SSL_CTX_use_cert_and_key(ssl_ctx, identity->cert, identity->key, identity->chain, 1) == 1;
}
