/*
 * goods - what the simulated shop sells and who buys it: Finnish names and
 * addresses that nobody has, and goods at each VAT rate.
 */
#ifndef VAYLA_SIM_GOODS_H
#define VAYLA_SIM_GOODS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The rates in per mille; the codes are the order model's own. */
enum vat_class { VAT_STANDARD, VAT_REDUCED, VAT_ZERO, VAT_CLASSES };
extern const int vat_permille[VAT_CLASSES]; /* 255 135 0 */

struct good {
	const char *sku, *name;
	int64_t gross; /* cents, VAT included */
	enum vat_class vat;
	bool clothes; /* half of them come back */
};
extern const struct good goods[];
extern const size_t goods_n;

struct place {
	const char *postcode, *city;
};
extern const struct place places[];
extern const size_t places_n;

extern const char *const first_names[],
    *const last_names[], *const streets[], *const company_words[],
					       *const notes[];
extern const size_t first_names_n, last_names_n, streets_n, company_words_n,
    notes_n;

/* How the numbers of parcels begin. */
extern const char *const parcel_leads[];
extern const size_t parcel_leads_n;

struct carriage {
	const char *title;
	int64_t gross;
};
extern const struct carriage carriages[]; /* the first one is free */
extern const size_t carriages_n;

#endif
