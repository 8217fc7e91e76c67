/* SPDX-License-Identifier: Apache-2.0
 *
 * limit.h: the only home of hard bounds. Each has its unit and its reason. (Not limits.h: that name is libc's.)
 *
 * Values a user may tune stand in the tables of options (options.c) and keys (config_proa.c), with these as their caps.
 */
#pragma once

#include <stdint.h>

enum {
    LIMIT_STORE_KEY_BYTES_MAX = 511,        /* LMDB's default MDB_MAXKEYSIZE */
    LIMIT_NAMESPACE_BYTES_MAX = 128,        /* of a namespace, and of a name, in an address */
    LIMIT_ID_BYTES_MAX = 4096,              /* of an id in an address: it arrives in a URL */
    LIMIT_ID_KEY_BYTES_MAX = 255,           /* longer ids are kept as prefix and keyed hash in keys */
    LIMIT_TYPENAME_BYTES_MAX = 512,         /* of the typename of a value */
    LIMIT_STATE_NAME_BYTES_MAX = 255,       /* of the name of a state value */
    LIMIT_TOKEN_BYTES_MAX = 4096,           /* of a cancellation token */
    LIMIT_TRACEPARENT_BYTES_MAX = 55,       /* W3C Trace Context, version 00 */
    LIMIT_FAILURE_CODE_BYTES_MAX = 128,     /* of the code of a function's failure */
    LIMIT_FAILURE_TEXT_BYTES_MAX = 1024,    /* of its sentence: what is longer is cut */
    LIMIT_ERR_TEXT_BYTES_MAX = 480,         /* one sentence, or two */
    LIMIT_LOG_LINE_BYTES_MAX = 4096,        /* PIPE_BUF: a line is written in one piece */
    LIMIT_STATE_INLINE_BYTES_MAX = 4096,    /* larger values leave the instance record for table `state` */
    LIMIT_STATES_PER_TYPE_MAX = 1024,       /* names of state values one function type may declare */
    LIMIT_TYPES_MAX = 65536,                /* function types in one store */
    LIMIT_INGRESS_BODY_BYTES_MAX = 1 << 20, /* protobuf-c and jansson parse in one piece */
    LIMIT_ANSWER_BYTES_DEFAULT = 8 << 20,   /* of a function's answer */
    LIMIT_RESULT_ITEMS_MAX = 65536,         /* effects of one answer: they are applied in one step of the loop */
    LIMIT_ANSWER_BYTES_MAX = 64 << 20,
    LIMIT_PARSE_INLINE_BYTES_MAX = 64 << 10, /* larger bodies are parsed by a helper, not on the loop */
    LIMIT_ARENA_BODY_FACTOR_MAX = 16,        /* arena of a parsed body: at most so many times its bytes */
    LIMIT_ARENA_BYTES_MAX = 256 << 20,
    LIMIT_READ_ROWS_MAX = 1024,          /* rows in one answer of a reader */
    LIMIT_READ_BYTES_MAX = 4 << 20,      /* bytes in one answer of a reader, beyond its first row */
    LIMIT_READ_RANGES_MAX = 256,         /* ranges in one read */
    LIMIT_READS_IN_FLIGHT_MAX = 256,     /* the credit of reads: places in the readers' queues */
    LIMIT_CALLS_IN_FLIGHT_MAX = 4096,    /* the credit of calls, over all endpoints */
    LIMIT_ENDPOINT_IN_FLIGHT_MAX = 1024, /* cap of an endpoint's adaptive limit */
    LIMIT_CONNECTIONS_MAX = 4096,        /* of clients; libmicrohttpd lets what is beyond hang */
    LIMIT_RECORD_BYTES_MAX = 1 << 20,    /* of a record for the playground's egress: jansson parses in one piece */
    LIMIT_POPS_MAX = 1024,               /* clients that wait for a record at once */
    LIMIT_MODULE_BYTES_MAX = 1 << 20,    /* of a module file */
    LIMIT_MODULE_ENTRIES_MAX = 4096,     /* functions, endpoints and egresses in one host, each */
    LIMIT_PLAYGROUND_PORTS_MAX = 8,      /* documents with a port of StateFun's playground: each may be a listener */
    LIMIT_URL_BYTES_MAX = 2048,          /* of an endpoint's URL as configured */
    LIMIT_SOCKET_PATH_BYTES_MAX = 107,   /* of a Unix socket: sun_path without its NUL */
    LIMIT_PATH_BYTES_MAX = 4095,         /* of a file's path: PATH_MAX without its NUL */
    LIMIT_INPUTS_PER_TURN_MAX = 256,     /* so that a flood at one door does not starve another */
};
_Static_assert(4 + LIMIT_ID_KEY_BYTES_MAX + 2 + 16 + 16 + 8 <= LIMIT_STORE_KEY_BYTES_MAX,
               "type, id, tag, hash and number must fit in one store key");
