// SPDX-License-Identifier: GPL-3.0-or-later
#include <sqlite3.h>

// Swift cannot call sqlite3_db_config, which takes any number of arguments.
static inline int csqlite_switch(sqlite3 *database, int option, int on) {
    return sqlite3_db_config(database, option, on, (int *)0);
}
