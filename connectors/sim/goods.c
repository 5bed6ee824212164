/* goods - see goods.h. */
#include "connectors/sim/goods.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

const int vat_permille[VAT_CLASSES] = {255, 135, 0};

const struct good goods[] = {
    {"MUKI-SIN", "Kahvimuki, sininen", 1490, VAT_STANDARD, false},
    {"MUKI-VAL", "Kahvimuki, valkoinen", 1490, VAT_STANDARD, false},
    {"PYYHE-70", "Saunapyyhe 70 × 140", 2995, VAT_STANDARD, false},
    {"PELLAVA-S", "Pellavapaita S", 6990, VAT_STANDARD, true},
    {"PELLAVA-M", "Pellavapaita M", 6990, VAT_STANDARD, true},
    {"PELLAVA-L", "Pellavapaita L", 6990, VAT_STANDARD, true},
    {"VILLA-36", "Villasukat 36–38", 1890, VAT_STANDARD, true},
    {"VILLA-42", "Villasukat 42–45", 1990, VAT_STANDARD, true},
    {"LYHTY-1", "Lyhty, musta teräs", 4450, VAT_STANDARD, false},
    {"KORI-KOIVU", "Koivukori \"Tuohi\"", 8900, VAT_STANDARD, false},
    {"LAUTA-LEP", "Leikkuulauta, leppä", 3290, VAT_STANDARD, false},
    {"KIRVES", "Retkikirves", 7999, VAT_STANDARD, false},
    {"TERMOS-1L", "Termospullo 1 l", 3699, VAT_STANDARD, false},
    {"REPPU-25", "Reppu 25 l", 11900, VAT_STANDARD, false},
    {"TARRA", "Tarra", 99, VAT_STANDARD, false},
    {"TUIKKU-10", "Tuikkuja 10 kpl", 333, VAT_STANDARD, false},
    {"KAHVI-500", "Kahvi 500 g, tumma paahto", 895, VAT_REDUCED, false},
    {"TEE-100", "Yrttitee 100 g", 750, VAT_REDUCED, false},
    {"HUNAJA-450", "Kukkahunaja 450 g", 1150, VAT_REDUCED, false},
    {"HILLO-LAK", "Lakkahillo", 1320, VAT_REDUCED, false},
    {"RUISLEIPÄ", "Ruisleipä 4 kpl", 485, VAT_REDUCED, false},
    {"SUKLAA-70", "Suklaa 70 %", 367, VAT_REDUCED, false},
    {"KIRJA-MAJ", "Majakat & saaret (kirja)", 3490, VAT_REDUCED, false},
    {"KIRJA-KEI", "Keittokirja: sienet", 2980, VAT_REDUCED, false},
    {"LAHJA-25", "Lahjakortti 25 €", 2500, VAT_ZERO, false},
    {"LAHJA-50", "Lahjakortti 50 €", 5000, VAT_ZERO, false},
};
const size_t goods_n = COUNT(goods);

const struct place places[] = {
    {"00100", "Helsinki"},
    {"02100", "Espoo"},
    {"04200", "Kerava"},
    {"06100", "Porvoo"},
    {"10300", "Karjaa"},
    {"13100", "Hämeenlinna"},
    {"20100", "Turku"},
    {"22100", "Maarianhamina"},
    {"28100", "Pori"},
    {"33100", "Tampere"},
    {"40100", "Jyväskylä"},
    {"53100", "Lappeenranta"},
    {"57130", "Savonlinna"},
    {"65100", "Vaasa"},
    {"70100", "Kuopio"},
    {"80100", "Joensuu"},
    {"90100", "Oulu"},
    {"95400", "Tornio"},
    {"96200", "Rovaniemi"},
    {"99870", "Inari"},
};
const size_t places_n = COUNT(places);

const char *const first_names[] = {"Aino", "Eino", "Väinö", "Helmi", "Onni",
    "Kerttu", "Eero", "Lyyli", "Pekka", "Sanna", "Åsa", "Mikko", "Hilkka",
    "Jörgen", "Tuuli", "Oiva", "Marjatta", "Ilmari", "Säde", "Leo"};
const size_t first_names_n = COUNT(first_names);

const char *const last_names[] = {"Virtanen", "Korhonen", "Mäkinen", "Nieminen",
    "Hämäläinen", "Järvinen", "Lehtonen", "Ahlström", "Öhman", "Kärkkäinen",
    "Saarinen", "Rantala", "Lindqvist", "Äijälä", "Kettunen", "Jokinen"};
const size_t last_names_n = COUNT(last_names);

const char *const streets[] = {"Satamakatu", "Koulutie", "Mäntypolku",
    "Rantatie", "Kirkkokatu", "Särkänkuja", "Asemakatu", "Peltotie",
    "Bulevardi", "Hämeentie", "Vähäjoentie", "Torikatu"};
const size_t streets_n = COUNT(streets);

const char *const company_words[] = {"Tunturin Tupa", "Saariston Sauna",
    "Karhula & Pojat", "Lehtikuusi", "Pohjan Paja", "Meritähti",
    "Jokivarren Kahvila", "Öljymäki"};
const size_t company_words_n = COUNT(company_words);

const char *const notes[] = {"Jätä oven eteen, kiitos!",
    "Soittakaa ennen toimitusta.", "Lahja – ei hintoja pakettiin",
    "Ovikoodi 1234"};
const size_t notes_n = COUNT(notes);

const char *const parcel_leads[] = {"JJFI6", "JJFI6", "JJFI6", "MH2"};
const size_t parcel_leads_n = COUNT(parcel_leads);

const struct carriage carriages[] = {
    {"Nouto myymälästä", 0},
    {"Toimitus noutopisteeseen", 490},
    {"Toimitus noutopisteeseen", 590},
    {"Paketti ovelle", 890},
    {"Kotiinkuljetus", 1290},
};
const size_t carriages_n = COUNT(carriages);
