/* backoff - how long a delivery waits for its next attempt (delivery.h). */
#include "broker/core/delivery.h"

int64_t
delivery_backoff(const struct retry_rule *r, uint32_t n, uint32_t dice)
{
	int64_t ms = r->first_ms;

	for (uint32_t i = 1; i < n && ms < r->most_ms; i++)
		ms *= 4;
	if (ms > r->most_ms)
		ms = r->most_ms;
	return ms * (800 + (int64_t)(dice % 1000) * 2 / 5) / 1000;
}
