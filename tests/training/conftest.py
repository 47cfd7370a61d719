"""The fixtures of this folder, which tests/cli uses as well."""

import centers_cases
import training_fixtures

noise_set, tiny = training_fixtures.noise_set, training_fixtures.tiny
run = centers_cases.run
