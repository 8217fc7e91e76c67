/* SPDX-License-Identifier: Apache-2.0
 *
 * main.c: runs seeds, each twice (law 10), and says how to see a failure again.
 *
 *   sim --seeds 1..200 --steps 1500      these seeds
 *   sim --seconds 600 [--seed 1000]      seeds from there on until the time is up
 *   sim --seed 7 --steps 1500 --replay   one seed, with a trace
 *   sim --plant law3-split-epoch         ends with 0 if that bug is found by the checker of its law
 *
 * Ends with 0 if all held, 1 if a law was broken, 2 if the arguments are wrong.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "check.h"
#include "plant.h"

enum { STEPS_DEFAULT = 1500, PLANT_SEEDS = 40 };

struct arguments {
    uint64_t first;
    uint64_t last;
    uint32_t steps;
    uint32_t seconds;
    enum plant plant;
    bool is_traced;
};

/* What a failed check of the engine is to name. Only the signal handler reads it. */
static volatile sig_atomic_t running_seed;
static volatile sig_atomic_t running_steps;

static void on_abort(int signal_number)
{
    (void)signal_number;
    (void)fprintf(stderr, "sim: check failed; replay: sim --seed %ld --steps %ld --replay\n", (long)running_seed,
                  (long)running_steps);
}

static enum law run_once(struct sim_options *options, uint32_t pass, uint64_t *out_hash, bool is_quiet)
{
    options->pass = pass;
    struct sim *sim = sim_create(options);
    const enum law law = sim_run(sim);

    *out_hash = sim->hash;
    if (law != LAW_NONE && !is_quiet) {
        printf("seed=%llu steps=%u law=%d plant=%s: %s\n", (unsigned long long)options->seed, sim->steps, (int)law,
               plant_name(options->plant), sim->text);
    }
    if (options->is_traced) {
        printf("seed=%llu steps=%u messages=%u calls=%llu epochs=%llu reads=%llu answers=%llu replies=%llu "
               "refused=%llu popped=%llu empty=%llu "
               "crashes=%llu parked=%llu lives=%u\n",
               (unsigned long long)options->seed, sim->steps, sim->message_count, (unsigned long long)sim->seen.calls,
               (unsigned long long)sim->seen.epochs, (unsigned long long)sim->seen.reads,
               (unsigned long long)sim->seen.answers, (unsigned long long)sim->seen.replies,
               (unsigned long long)sim->seen.refused, (unsigned long long)sim->seen.popped,
               (unsigned long long)sim->seen.empty, (unsigned long long)sim->seen.crashes,
               (unsigned long long)sim->seen.parked, sim->life);
    }
    sim_destroy(sim);
    return law;
}

/* Two runs, between them other uses of the heap: nothing of an engine may hang on addresses. */
static enum law run_seed(const struct arguments *arguments, uint64_t seed, bool is_quiet)
{
    struct sim_options options = {
        .seed = seed, .steps = arguments->steps, .plant = arguments->plant, .is_traced = arguments->is_traced};
    uint64_t first = 0;
    uint64_t second = 0;

    running_seed = (sig_atomic_t)seed;
    enum law law = run_once(&options, 0, &first, is_quiet);
    if (law != LAW_NONE || arguments->is_traced) {
        return law;
    }
    void *hole = malloc((size_t)(1000 + seed % 5000));
    law = run_once(&options, 1, &second, is_quiet);
    free(hole);
    if (law != LAW_NONE || first != second) {
        if (!is_quiet) {
            printf("seed=%llu law=10 plant=%s: two runs of one seed differ\n", (unsigned long long)seed,
                   plant_name(options.plant));
        }
        return LAW_10;
    }
    return LAW_NONE;
}

static int run_seeds(const struct arguments *arguments)
{
    const time_t end = time(NULL) + (time_t)arguments->seconds;
    uint64_t runs = 0;
    uint64_t broken = 0;

    for (uint64_t seed = arguments->first; arguments->seconds > 0 ? time(NULL) < end : seed <= arguments->last;
         seed++) {
        runs++;
        if (run_seed(arguments, seed, false) != LAW_NONE) {
            broken++;
            printf("replay: sim --seed %llu --steps %u --replay\n", (unsigned long long)seed, arguments->steps);
            (void)fflush(stdout);
        }
    }
    printf("sim: %llu seeds, %llu broke a law\n", (unsigned long long)runs, (unsigned long long)broken);
    return broken > 0;
}

/* A planted bug must be found by the checker of its law; other laws that it breaks on the way do not count. */
static int run_plant(const struct arguments *arguments)
{
    for (uint64_t seed = arguments->first; seed < arguments->first + PLANT_SEEDS; seed++) {
        const enum law law = run_seed(arguments, seed, false);
        if (law == plant_law(arguments->plant)) {
            printf("sim: %s was found by the checker of law %d\n", plant_name(arguments->plant), (int)law);
            return 0;
        }
    }
    printf("sim: %s was not found by the checker of its law\n", plant_name(arguments->plant));
    return 1;
}

static bool parse_number(const char *text, uint64_t *out, const char **out_rest)
{
    uint64_t number = 0;
    const char *at = text;

    for (; *at >= '0' && *at <= '9' && number < UINT64_MAX / 100; at++) {
        number = number * 10 + (uint64_t)(*at - '0');
    }
    *out = number;
    *out_rest = at;
    return at != text;
}

static bool parse_plant(const char *text, enum plant *out)
{
    for (uint32_t plant = 0; plant < PLANT_COUNT; plant++) {
        if (strcmp(text, plant_name((enum plant)plant)) == 0) {
            *out = (enum plant)plant;
            return true;
        }
    }
    return false;
}

static bool parse_option(const char *name, const char *value, struct arguments *out)
{
    const char *rest = "";
    uint64_t number = 0;

    if (strcmp(name, "--plant") == 0) {
        return parse_plant(value, &out->plant);
    }
    if (!parse_number(value, &number, &rest)) {
        return false;
    }
    if (strcmp(name, "--seed") == 0) {
        out->first = out->last = number;
    } else if (strcmp(name, "--seeds") == 0 && strncmp(rest, "..", 2) == 0) {
        out->first = number;
        return parse_number(rest + 2, &out->last, &rest) && *rest == '\0';
    } else if (strcmp(name, "--steps") == 0) {
        out->steps = (uint32_t)number;
    } else if (strcmp(name, "--seconds") == 0) {
        out->seconds = (uint32_t)number;
    } else {
        return false;
    }
    return *rest == '\0';
}

int main(int argc, char **argv)
{
    struct arguments arguments = {.first = 1, .last = 200, .steps = STEPS_DEFAULT};

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--replay") == 0) {
            arguments.is_traced = true;
        } else if (i + 1 < argc && parse_option(argv[i], argv[i + 1], &arguments)) {
            i++;
        } else {
            (void)fprintf(stderr, "usage: sim [--seeds A..B | --seed N] [--steps N] [--seconds N] [--plant NAME] "
                                  "[--replay]\n");
            return 2;
        }
    }
    running_steps = (sig_atomic_t)arguments.steps;
    (void)signal(SIGABRT, on_abort);
    return arguments.plant != PLANT_NONE ? run_plant(&arguments) : run_seeds(&arguments);
}
