/* SPDX-License-Identifier: Apache-2.0
 *
 * main.c: runs a fuzz target over every file of the folders it is given: the corpus as an ordinary test, with any
 * compiler. Each input stands in memory of exactly its size, so that a sanitizer sees a read beyond it.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#include "fuzz.h"

static int run_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    static uint8_t content[1 << 22];

    if (file == NULL) {
        perror(path);
        return 1;
    }
    const size_t size = fread(content, 1, sizeof content, file);
    (void)fclose(file); /* only read */
    uint8_t *exact = malloc(size == 0 ? 1 : size);
    if (exact == NULL) {
        return 1;
    }
    for (size_t i = 0; i < size; i++) {
        exact[i] = content[i];
    }
    (void)LLVMFuzzerTestOneInput(exact, size); /* always 0 */
    free(exact);
    return 0;
}

static int run_folder(const char *folder)
{
    DIR *dir = opendir(folder);
    const struct dirent *entry;
    char path[4096];
    int failed = 0;
    int count = 0;

    if (dir == NULL) {
        perror(folder);
        return 1;
    }
    while ((entry = readdir(dir)) != NULL) {
        if (entry->d_name[0] != '.') {
            (void)snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
            failed += run_file(path);
            count++;
        }
    }
    (void)closedir(dir);
    printf("%s: %d inputs, %d not read\n", folder, count, failed);
    return failed > 0 || count == 0;
}

int main(int argc, char **argv)
{
    int failed = argc < 2;

    for (int i = 1; i < argc; i++) {
        failed += run_folder(argv[i]);
    }
    return failed > 0;
}
