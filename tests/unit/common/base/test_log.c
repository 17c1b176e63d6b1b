/* SPDX-License-Identifier: Apache-2.0 */
#include "common/base/buf.h"
#include "common/base/file.h"
#include "common/base/log.h"
#include "tests/lib/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static int saved_stderr = -1;
static FILE *capture;

static void capture_start(enum log_format format)
{
	log_setup(LOG_INFO, format);
	capture = tmpfile();
	assert_non_null(capture);
	fflush(stderr);
	saved_stderr = dup(STDERR_FILENO);
	dup2(fileno(capture), STDERR_FILENO);
}

/* What was logged since, in a buffer of the caller's. */
static void capture_end(struct buf *ret)
{
	dup2(saved_stderr, STDERR_FILENO);
	close(saved_stderr);
	char block[4096];
	ssize_t n;
	off_t at = 0;
	while ((n = pread(fileno(capture), block, sizeof block, at)) > 0) {
		buf_append(ret, block, (size_t)n);
		at += n;
	}
	fclose(capture);
}

#define CAPTURED(out, format, ...)                                                                 \
	_cleanup_buf_ struct buf out;                                                              \
	buf_init(&out, 1 << 20);                                                                   \
	capture_start(format);                                                                     \
	__VA_ARGS__;                                                                               \
	capture_end(&out)

/* The line without its time, which is of a fixed length. */
static const char *after_time(const struct buf *line, enum log_format format)
{
	size_t n = format == LOG_FORMAT_JSON ? strlen("{\"time\":\"2026-05-01T12:00:00.123Z\",")
					     : strlen("2026-05-01T12:00:00.123Z ");
	assert_true(line->n > n);
	return line->p + n;
}

static size_t lines_of(const struct buf *b)
{
	size_t n = 0;
	for (size_t i = 0; i < b->n; i++)
		n += b->p[i] == '\n';
	return n;
}

static void a_line_is_json_with_every_type(void **state)
{
	(void)state;
	CAPTURED(out, LOG_FORMAT_JSON,
		log_info("token.set", LOG_TEXT("name", "a b"), LOG_I64("n", -5), LOG_F64("f", 0.5),
			LOG_BOOL("ok", true)));
	assert_string_equal(after_time(&out, LOG_FORMAT_JSON),
		"\"level\":\"info\",\"event\":\"token.set\",\"name\":\"a b\",\"n\":-5,\"f\":0.5,"
		"\"ok\":true}\n");
}

static void a_line_on_a_terminal_is_logfmt(void **state)
{
	(void)state;
	struct status s = status_error(STATUS_NOT_FOUND, "no such \"token\"");
	CAPTURED(out, LOG_FORMAT_LOGFMT,
		log_warning("x.y", LOG_TEXT("plain", "abc"), LOG_TEXT("eq", "a=b"),
			LOG_TEXT("empty", ""), LOG_STATUS(&s)));
	assert_string_equal(after_time(&out, LOG_FORMAT_LOGFMT),
		"warning x.y plain=abc eq=\"a=b\" empty=\"\" code=NOT_FOUND "
		"error=\"no such \\\"token\\\"\"\n");
}

/* Newlines, terminal sequences of either range, separators, overrides, broken UTF-8. */
static const char hostile[] = "a\nb\r\t\x1B[31m\x7F|\xC2\x9B"
			      "31m|\xE2\x80\xA8|\xE2\x80\xAE|\xFF\xC3\xA9\xC3";
#define HOSTILE_ESCAPED                                                                            \
	"a\\nb\\u000d\\u0009\\u001b[31m\\u007f|\\u009b31m|\\u2028|\\u202e|\\u00ff\xC3\xA9\\u00c3"

static void control_bytes_cannot_forge_a_json_line(void **state)
{
	(void)state;
	CAPTURED(out, LOG_FORMAT_JSON, log_info("e", LOG_TEXT("v", hostile)));
	assert_string_equal(after_time(&out, LOG_FORMAT_JSON),
		"\"level\":\"info\",\"event\":\"e\",\"v\":\"" HOSTILE_ESCAPED "\"}\n");
	assert_true(str_is_utf8(buf_str(&out)));
	assert_int_equal(lines_of(&out), 1);
}

static void control_bytes_cannot_forge_a_logfmt_line(void **state)
{
	(void)state;
	CAPTURED(out, LOG_FORMAT_LOGFMT, log_info("e", LOG_TEXT("v", hostile)));
	assert_string_equal(
		after_time(&out, LOG_FORMAT_LOGFMT), "info    e v=\"" HOSTILE_ESCAPED "\"\n");
	assert_int_equal(lines_of(&out), 1);
}

static void nul_bytes_are_escaped(void **state)
{
	(void)state;
	CAPTURED(out, LOG_FORMAT_JSON, log_info("e", LOG_STR("v", STR("a\0b"))));
	assert_non_null(strstr(out.p, "\"v\":\"a\\u0000b\"}"));
}

static void a_long_value_is_cut_at_a_character_and_marked(void **state)
{
	(void)state;
	char text[10001];
	for (size_t i = 0; i < 10000; i += 2)
		memcpy(text + i, "\xC3\xA9", 2);
	text[0] = 'x'; /* so that the cut falls inside a character */
	text[1] = 'y';
	memmove(text + 1, text, 9999);
	text[10000] = '\0';
	for (int f = LOG_FORMAT_JSON; f <= LOG_FORMAT_LOGFMT; f++) {
		CAPTURED(out, (enum log_format)f, log_info("e", LOG_TEXT("v", text)));
		assert_true(str_is_utf8(buf_str(&out)));
		assert_true(out.n < 4300);
		assert_non_null(strstr(out.p, "... (10000 bytes)\""));
		assert_int_equal(lines_of(&out), 1);
	}
}

static void a_long_plain_value_is_cut_as_well(void **state)
{
	(void)state;
	char text[10001];
	memset(text, 'x', 10000);
	text[10000] = '\0';
	CAPTURED(out, LOG_FORMAT_LOGFMT, log_info("e", LOG_TEXT("v", text)));
	assert_true(out.n < 4300);
	assert_non_null(strstr(out.p, "x... (10000 bytes)\"\n"));
}

static void a_line_that_would_be_too_long_stays_whole(void **state)
{
	(void)state;
	char text[4097];
	memset(text, '\x01', 4096); /* six times as long when escaped */
	text[4096] = '\0';
	CAPTURED(out, LOG_FORMAT_JSON,
		log_info("e", LOG_TEXT("a", text), LOG_TEXT("b", text), LOG_TEXT("c", text),
			LOG_I64("d", 1)));
	assert_true(str_ends_with(buf_str(&out), STR("\",\"d\":1,\"fields_left_out\":2}\n")));
	assert_int_equal(lines_of(&out), 1);
}

static void numbers_that_json_does_not_know_are_null(void **state)
{
	(void)state;
	volatile double zero = 0;
	CAPTURED(out, LOG_FORMAT_JSON,
		log_info("e", LOG_F64("nan", zero / zero), LOG_F64("inf", 1 / zero)));
	assert_non_null(strstr(out.p, "\"nan\":null,\"inf\":null}"));
}

static int evaluated;

static struct str evaluate(void)
{
	evaluated++;
	return STR("x");
}

static void what_is_below_the_level_is_not_even_evaluated(void **state)
{
	(void)state;
	CAPTURED(out, LOG_FORMAT_JSON, log_debug("e", LOG_STR("v", evaluate()));
		 log_set_level(LOG_ERROR); log_warning("w"); log_error("x"));
	assert_int_equal(evaluated, 0);
	assert_int_equal(lines_of(&out), 1);
	assert_non_null(strstr(out.p, "\"event\":\"x\"}"));
}

static void repeated_failures_are_held_back_and_counted(void **state)
{
	(void)state;
	struct rate_limit limit;
	rate_limit_init(&limit, 10, 2);
	_cleanup_buf_ struct buf out;
	buf_init(&out, 1 << 20);
	capture_start(LOG_FORMAT_JSON);
	for (int i = 0; i < 50; i++)
		log_limited(&limit, LOG_ERROR, "store.failed", LOG_I64("i", i));
	usleep(150000); /* more than the tenth of a second that one line costs */
	log_limited(&limit, LOG_ERROR, "again");
	capture_end(&out);
	/* a machine that stalls may let one or two more pass; nothing may be lost */
	size_t lines = lines_of(&out);
	assert_true(lines >= 3 && lines < 20);
	struct str rest = buf_str(&out), line;
	uint64_t held = 0;
	while (str_split(&rest, '\n', &line)) {
		const char *at = line.n ? strstr(line.p, "\"held_back\":") : NULL;
		if (at)
			held += strtoull(at + strlen("\"held_back\":"), NULL, 10);
	}
	assert_int_equal(held + lines, 51);
}

static size_t find_hushed(struct str text, size_t at, size_t *ret_n)
{
	for (*ret_n = 6; at + 6 <= text.n; at++)
		if (str_eq(str_sub(text, at, 6), STR("hushed")))
			return at;
	return text.n;
}

static void what_is_found_to_be_secret_is_hidden(void **state)
{
	(void)state;
	log_hide_secrets(find_hushed);
	CAPTURED(json, LOG_FORMAT_JSON,
		log_info("x", LOG_TEXT("a", "hushed"), LOG_TEXT("b", "no \"hushed\" hushedhushe"),
			LOG_TEXT("c", "said")));
	assert_non_null(
		strstr(json.p, "\"a\":\"***\",\"b\":\"no \\\"***\\\" ***hushe\",\"c\":\"said\"}"));
	CAPTURED(plain, LOG_FORMAT_LOGFMT,
		log_info("x", LOG_TEXT("a", "/hushed"), LOG_TEXT("b", "")));
	log_hide_secrets(NULL);
	assert_non_null(strstr(plain.p, " a=/*** b=\"\"\n"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_line_is_json_with_every_type),
		cmocka_unit_test(a_line_on_a_terminal_is_logfmt),
		cmocka_unit_test(control_bytes_cannot_forge_a_json_line),
		cmocka_unit_test(control_bytes_cannot_forge_a_logfmt_line),
		cmocka_unit_test(nul_bytes_are_escaped),
		cmocka_unit_test(a_long_value_is_cut_at_a_character_and_marked),
		cmocka_unit_test(a_long_plain_value_is_cut_as_well),
		cmocka_unit_test(a_line_that_would_be_too_long_stays_whole),
		cmocka_unit_test(numbers_that_json_does_not_know_are_null),
		cmocka_unit_test(what_is_below_the_level_is_not_even_evaluated),
		cmocka_unit_test(what_is_found_to_be_secret_is_hidden),
		cmocka_unit_test(repeated_failures_are_held_back_and_counted),
	};
	return RUN_TESTS(tests);
}
