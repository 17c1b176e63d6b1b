/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/http_gzip.h"

#include "common/base/xalloc.h"

#include <stdlib.h>
#define ZLIB_CONST /* next_in is const */
#include <zlib.h>

enum {
	GZIP_WINDOW = 15 + 16, /* zlib's way to say: gzip, the largest window */
	GZIP_LEVEL = 3,        /* a JSON list: a tenth of the size at a third of level 6's time */
	GZIP_MEMORY = 8,
	INFLATE_STEP_BYTES = 16 * 1024,
};

struct http_gzip {
	z_stream in, out;
	bool has_in, has_out;
};

struct http_gzip *http_gzip_new(void)
{
	return xnew(struct http_gzip);
}

void http_gzip_free(struct http_gzip *g)
{
	if (!g)
		return;
	if (g->has_in)
		inflateEnd(&g->in);
	if (g->has_out)
		deflateEnd(&g->out);
	free(g);
}

static z_stream *inflater(struct http_gzip *g)
{
	if (g->has_in) {
		inflateReset(&g->in);
		return &g->in;
	}
	if (inflateInit2(&g->in, GZIP_WINDOW) != Z_OK)
		abort(); /* out of memory, as in xalloc */
	g->has_in = true;
	return &g->in;
}

static z_stream *deflater(struct http_gzip *g)
{
	if (g->has_out) {
		deflateReset(&g->out);
		return &g->out;
	}
	if (deflateInit2(&g->out, GZIP_LEVEL, Z_DEFLATED, GZIP_WINDOW, GZIP_MEMORY,
		    Z_DEFAULT_STRATEGY) != Z_OK)
		abort();
	g->has_out = true;
	return &g->out;
}

static void set_input(z_stream *z, struct str in)
{
	z->next_in = (z_const Bytef *)in.p;
	z->avail_in = (uInt)in.n;
}

enum http_error_kind http_gzip_inflate(struct http_gzip *g, struct str in, struct buf *out)
{
	z_stream *z = inflater(g);
	set_input(z, in);
	for (;;) {
		size_t room = buf_room(out);
		size_t step = room < INFLATE_STEP_BYTES ? room : INFLATE_STEP_BYTES;
		/* one byte more than there is room for, on the stack, tells "full" from "too large"
		 */
		Bytef extra;
		z->next_out = step ? (Bytef *)buf_reserve(out, step) : &extra;
		z->avail_out = step ? (uInt)step : 1;
		int result = inflate(z, Z_NO_FLUSH);
		if (!step && z->avail_out == 0)
			return HTTP_ERROR_BODY_TOO_LARGE;
		out->n += step ? step - z->avail_out : 0;
		if (result == Z_STREAM_END) {
			if (z->avail_in == 0)
				return HTTP_ERROR_NONE;
			inflateReset(z); /* a further member (RFC 1952, 2.2), or garbage */
		} else if (result != Z_OK || (z->avail_in == 0 && z->avail_out > 0)) {
			return HTTP_ERROR_GZIP;
		}
	}
}

bool http_gzip_deflate(struct http_gzip *g, struct str in, struct buf *out)
{
	z_stream *z = deflater(g);
	set_input(z, in);
	char *to = buf_reserve(out, in.n);
	if (!to)
		return false;
	z->next_out = (Bytef *)to;
	z->avail_out = (uInt)in.n;
	if (deflate(z, Z_FINISH) != Z_STREAM_END)
		return false;
	out->n += in.n - z->avail_out;
	return true;
}

/* --- Accept-Encoding --- */

/* Thousandths of a weight, "0.5" as 500 (RFC 9110, 12.4.2); -1 for anything else. */
static int parse_weight(struct str s)
{
	if (s.n == 0 || s.n > 5 || (s.p[0] != '0' && s.p[0] != '1') || (s.n > 1 && s.p[1] != '.'))
		return -1;
	int weight = (s.p[0] - '0') * 1000, unit = 100;
	for (size_t i = 2; i < s.n; i++, unit /= 10) {
		if (s.p[i] < '0' || s.p[i] > '9')
			return -1;
		weight += (s.p[i] - '0') * unit;
	}
	return weight <= 1000 ? weight : -1;
}

struct weights {
	int gzip, identity, any; /* -1: not named */
};

static void read_coding(struct str coding, struct weights *w)
{
	size_t semicolon = str_index(coding, ';');
	struct str name = str_trim(str_sub(coding, 0, semicolon));
	int weight = 1000;
	if (semicolon < coding.n) {
		struct str parameter = str_trim(str_sub(coding, semicolon + 1, coding.n));
		weight = -1;
		if (parameter.n > 2 && (parameter.p[0] | 0x20) == 'q' && parameter.p[1] == '=')
			weight = parse_weight(str_sub(parameter, 2, parameter.n));
		if (weight < 0)
			return; /* not understood, so not wished for */
	}
	if (str_eq_nocase(name, STR("gzip")) || str_eq_nocase(name, STR("x-gzip")))
		w->gzip = weight;
	else if (str_eq_nocase(name, STR("identity")))
		w->identity = weight;
	else if (str_eq(name, STR("*")))
		w->any = weight;
}

bool http_gzip_is_accepted(const struct http_request *r)
{
	struct weights w = {-1, -1, -1};
	for (size_t i = 0; i < r->n_headers; i++) {
		if (!str_eq(r->headers[i].name, STR("accept-encoding")))
			continue;
		struct str rest = r->headers[i].value, coding;
		while (str_split(&rest, ',', &coding))
			read_coding(coding, &w);
	}
	int gzip = w.gzip >= 0 ? w.gzip : w.any;
	return gzip > 0 && gzip >= w.identity;
}
