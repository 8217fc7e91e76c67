/* SPDX-License-Identifier: Apache-2.0
 *
 * plant.h: bugs set on purpose, so that the checker of each law is seen to find one.
 *
 * Most are set in the world, in what passes between engine and edges, and look to a checker as the engine's
 * own bug would. Each run has at most one.
 */
#pragma once

#include "sim.h"

const char *plant_name(enum plant plant);
enum law plant_law(enum plant plant);
/* Faults and limits that give the run's plant its chance. */
void plant_setup(struct sim *sim);
/* True at the moments at which the run's plant strikes, if it is this one. */
bool plant_strikes(struct sim *sim, enum plant plant, uint32_t permille);

void plant_epoch(struct sim *sim, struct epoch *epoch);             /* before it is applied */
bool plant_skips_epoch(struct sim *sim, const struct epoch *epoch); /* true: it is not applied now */
struct epoch *plant_stored(struct sim *sim, struct epoch *epoch);   /* what the store gets of it */
void plant_call(struct sim *sim, const struct effect_call *effect); /* before anybody looks at it */
void plant_after_call(struct sim *sim, struct sim_call *call);
void plant_fenced(struct sim *sim, const struct sim_call *call, struct input *input);
void plant_message(struct sim *sim, struct input *inputs, uint32_t *count); /* after the newest of them */
void plant_after_step(struct sim *sim);
/* False: the answer is swallowed. */
bool plant_answer(struct sim *sim, struct effect_answer *answer);
