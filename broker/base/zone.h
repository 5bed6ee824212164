/*
 * zone - time zones from the system's tz database (TZif, RFC 8536), and dates.
 *
 * A zone is loaded once and immutable; its bytes' SHA-256 is part of a ruleset.
 * Times are int64 ns since the epoch, UTC. Local times that do not exist
 * (spring gap) or exist twice (autumn) are named by the caller's choice:
 * parsing a zoneless text takes the earlier instant for a doubled one and
 * shifts a missing one forward by the gap (as java.time and Temporal's
 * "compatible" do).
 */
#ifndef VAYLA_BASE_ZONE_H
#define VAYLA_BASE_ZONE_H

#include "broker/base/buf.h"

struct zone;

/* By IANA name ("Europe/Helsinki", "UTC"); names with "..", a leading "/" or
 * over 64 bytes are refused. VAYLA_ZONEINFO names another folder than
 * /usr/share/zoneinfo. Zones are cached for the life of the process;
 * thread-safe. ERR_NOTFOUND names the zone. */
enum err zone_get(struct slice name, const struct zone **out) MUST_CHECK;
const char *zone_name(const struct zone *z);
const uint8_t *zone_digest(const struct zone *z); /* 32 bytes */

struct civil {
	int32_t year;
	uint8_t month, day; /* from 1 */
	uint8_t hour, minute, second;
	uint32_t ns;
	int32_t offset; /* seconds east of UTC, as found or used */
};

void zone_civil(const struct zone *z, int64_t ns, struct civil *out);
enum err zone_instant(
    const struct zone *z, const struct civil *c, int64_t *out) MUST_CHECK;

/*
 * ISO 8601 as systems send it: "2026-03-01", "2026-03-01T10:00:00",
 * with [.,]fraction up to 9 digits, 'T' or a space, "Z", "+02", "+0200" or
 * "+02:00", seconds optional. *zoned tells whether the text named its offset;
 * without one `z` is used, and NULL z is ERR_MISSING ("no zone").
 */
enum err time_parse(struct slice text, const struct zone *z, int64_t *out,
    bool *zoned) MUST_CHECK;

/* By a pattern of yyyy MM dd HH mm ss and literal characters
 * ("dd.MM.yyyy HH:mm"); z is required. */
enum err time_parse_pattern(struct slice text, struct slice pattern,
    const struct zone *z, int64_t *out) MUST_CHECK;

/* As json.h writes times: "2026-11-22T10:00:00Z", 3, 6 or 9 fraction digits
 * only where needed. */
void time_put_iso(struct buf *out, int64_t ns);
/* "yyyy MM dd HH mm ss SSS" letters and literals, in z. */
enum err time_put(struct buf *out, int64_t ns, struct slice pattern,
    const struct zone *z) MUST_CHECK;

/* Days since the epoch of a civil date, and back. */
int64_t date_days(int32_t year, unsigned month, unsigned day);
void date_civil(int64_t days, int32_t *year, unsigned *month, unsigned *day);

/* Its date and time of day as if they were UTC, in seconds; ERR_RANGE for a
 * day, hour ... that does not exist. (A leap second is the second after it.) */
enum err civil_seconds(const struct civil *c, int64_t *out) MUST_CHECK;
/* As int64 ns; ERR_RANGE outside of 1677 to 2262. */
enum err time_from_seconds(int64_t sec, uint32_t ns, int64_t *out) MUST_CHECK;

#endif
