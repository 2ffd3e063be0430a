/* What the parts of the program share: complaints, checks of values, files of the plan. */
#ifndef PLAN_H
#define PLAN_H

#include "yaml.h"

#include <stdio.h>

/* How often something was refused. */
extern int refused;

/* Says what is wrong in a line of the file that is being read. */
__attribute__((format(printf, 2, 3))) void refuse(const struct node *where, const char *format, ...);

/* Of a mapping; marks the key as known. NULL where there is none or nothing is said. */
struct node *get(struct node *map, const char *key);
/* Refuses every key that nobody asked for; `what` is where they are. */
void only_known(struct node *map, const char *what);
/* Whether it is a mapping, a list; refuses what is not. */
bool is_map(struct node *node);
bool is_list(struct node *node);
bool is_null(const struct node *node);
const char *name_of(const struct node *node);

/* A scalar of one line that is not empty, or NULL and a complaint. */
const char *text_of(struct node *node);
/* 1, 0; -1 and a complaint. */
int yes_no(struct node *node);
/* A number in these bounds, or -1 and a complaint. */
long number(struct node *node, long low, long high);

bool is_user(const char *text);
bool is_host(const char *text);
bool is_domain(const char *text);
bool is_mac(const char *text);
/* 4 or 6 for an address, 0 for anything else; with a prefix behind a slash, or without. */
int address(const char *text, bool prefix);
bool is_path(const char *text);
/* A public key in one line. */
bool is_key(const char *text);

/* Files are made when everything has been read, and nothing was refused. */
FILE *plan_file(const char *name);
void plan_write(void);

void user_data(struct node *document);
void meta_data(struct node *document);
void network_config(struct node *document);
void keys_of(struct node *list, const char *user);

#endif
