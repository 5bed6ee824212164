/*
 * err - one table of error codes for the whole program.
 *
 * Every fallible function returns enum err and is MUST_CHECK. A code belongs
 * to a class; the class crosses the wire and decides what happens next (retry,
 * park, ask ...). Details for people are kept with err_note() in a buffer of
 * the calling thread and logged once, at the boundary.
 *
 * To add a code: one line in ERR_TABLE. Names and numbers of codes that cross
 * the wire are part of PROTOCOL.md; never renumber a class.
 */
#ifndef VAYLA_BASE_ERR_H
#define VAYLA_BASE_ERR_H

#define MUST_CHECK __attribute__((warn_unused_result))
#define PRINTF_LIKE(f, a) __attribute__((format(printf, f, a)))

/* What the receiver of an error does next. */
enum err_class {
	CLASS_OK,     /* nothing is wrong */
	CLASS_RETRY,  /* the same again later may succeed */
	CLASS_DEFER,  /* not now; waiting costs no attempt */
	CLASS_REJECT, /* this will never succeed as it is */
	CLASS_ASK,    /* a person's answer is needed */
	CLASS_FATAL   /* this process cannot go on; never leaves it */
};

#define ERR_TABLE(X)                                      \
	X(OK, OK, "ok")                                   \
	X(NOMEM, RETRY, "out of memory")                  \
	X(IO, RETRY, "input/output error")                \
	X(FULL, RETRY, "disk full")                       \
	X(SYNC, FATAL, "the disk did not confirm")        \
	X(BUSY, RETRY, "busy")                            \
	X(TIMEOUT, RETRY, "timed out")                    \
	X(CLOSED, RETRY, "closed")                        \
	X(LIMIT, REJECT, "over a limit")                  \
	X(SYNTAX, REJECT, "malformed")                    \
	X(TYPE, REJECT, "wrong type")                     \
	X(RANGE, REJECT, "out of range")                  \
	X(NOTFOUND, REJECT, "not found")                  \
	X(EXISTS, REJECT, "exists already")               \
	X(DENIED, REJECT, "not allowed")                  \
	X(SIGNATURE, REJECT, "signature does not verify") \
	X(CONFIG, REJECT, "configuration error")          \
	X(CORRUPT, FATAL, "corrupt data")                 \
	X(VERSION, REJECT, "unsupported version")         \
	X(STATE, REJECT, "not possible in this state")    \
	X(USAGE, REJECT, "usage")                         \
	X(MISSING, REJECT, "a required value is missing") \
	X(CHECK, REJECT, "a check failed")                \
	X(BUDGET, REJECT, "over budget")                  \
	X(ERASED, REJECT, "personal data was erased")     \
	X(NOSESSION, RETRY, "no session")                 \
	X(FLOOD, REJECT, "beyond the window")             \
	X(WAIT, DEFER, "waits for another event")         \
	X(ASK, ASK, "a question is open")

enum err {
#define ERR_ENUM(name, class, text) ERR_##name,
	ERR_TABLE(ERR_ENUM)
#undef ERR_ENUM
	    ERR_COUNT
};

enum err_class err_class(enum err e);

/* The code's text, never NULL: "disk full". */
const char *err_text(enum err e);

/* The code's name as it crosses the wire: "FULL". */
const char *err_name(enum err e);

/* The code of that name; ERR_COUNT when there is none. */
enum err err_from_name(const char *name);

/* The class's name: "RETRY". */
const char *err_class_name(enum err_class c);

/*
 * Keep the detail of an error for this thread and return the code, so that
 * "return err_note(ERR_IO, "cannot open %s", path)" reads as one act. The note
 * is cut at 1,023 bytes. A later note replaces an earlier one; err_wrap() puts
 * words before it ("books: cannot open ...").
 */
enum err err_note(enum err e, const char *fmt, ...) PRINTF_LIKE(2, 3);
enum err err_wrap(enum err e, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* As err_note, with strerror(errno) appended; ENOSPC and EDQUOT become
 * ERR_FULL. */
enum err err_errno(enum err e, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* The last note of this thread, "" when there is none. */
const char *err_last(void);

/* End the process for a broken invariant of our own: never for input. */
_Noreturn void err_die(const char *fmt, ...) PRINTF_LIKE(1, 2);

#endif
