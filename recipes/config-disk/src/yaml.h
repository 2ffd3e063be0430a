/* A subset of YAML 1.1 as configurations of machines use it, read strictly. */
#ifndef YAML_H
#define YAML_H

#include <stdbool.h>
#include <stddef.h>

enum kind { SCALAR, MAP, SEQ };

struct node {
    enum kind kind;
    int line;
    /* A scalar: its text, ended by NUL, without any other; whether it was written without quotes. */
    char *text;
    bool plain;
    /* The key that it is the value of; NULL in lists. */
    struct node *key;
    struct node *first, *next;
};

/* Returns the document; an empty one is a plain scalar without text. On an error returns NULL, and says in
 * error what is wrong, and in line where. text is ended by NUL and is changed. */
struct node *yaml_read(char *text, size_t size, char *error, size_t room, int *line);

void *must_alloc(size_t size);

#endif
