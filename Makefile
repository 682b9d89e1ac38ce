# Everything runs in .venv, made from constraints.txt. `make run` and `make test` work on a fresh clone.
PYTHON ?= python3
VENV := .venv
OLDEST := .oldest-runtime
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: run test test-slow test-arm oldest-runtime lint types docs bench bench-students bench-ablation bench-other-family bench-rivals bench-teachers bench-vocabulary \
	bench-speed bench-int8 bench-bundle wheel clean

run: $(READY)
	$(BIN)/edgedistill run --target raspberry-pi

# a file at a time to each of up to four processes, one a core; each works on one thread
test: $(READY)
	$(BIN)/python -m pytest --numprocesses logical --maxprocesses 4 --dist loadfile

test-slow: $(READY)
	$(BIN)/python -m pytest -m slow

# exit code 6: the packages cannot be had here; the tests then say so and are skipped. With EDGEDISTILL_REQUIRE_ARM both fail
test-arm: $(READY)
	$(BIN)/edgedistill arm-env || test $$?$(EDGEDISTILL_REQUIRE_ARM) = 6
	$(BIN)/python -m pytest -m "arm and not slow" -rs

# the oldest onnxruntime that a target allows, in an environment of its own: the slow tests load what ships in it
oldest-runtime: $(OLDEST)/.ready

lint: $(READY)
	$(BIN)/ruff check .

types: $(READY)
	$(BIN)/mypy

docs: $(READY)
	$(BIN)/python docs/make_cli_page.py
	$(BIN)/python docs/make_recipe_page.py
	$(BIN)/python docs/make_code_page.py
	$(BIN)/python benchmarks/readme_table.py
	$(BIN)/python benchmarks/support_matrix.py
	$(BIN)/python benchmarks/students_table.py
	$(BIN)/python benchmarks/images_table.py
	$(BIN)/python benchmarks/int8_table.py

bench: $(READY)
	$(BIN)/python benchmarks/shape_latency.py
	$(BIN)/python benchmarks/home_intents.py

# hours each; the data sets are where EDGEDISTILL_DATA_SETS says. Started again they make the rows that are missing.
# More options: make bench-students BENCH_OPTIONS="--tasks trec6 --threads 1"
bench-students: $(READY)
	$(BIN)/python benchmarks/students.py $(BENCH_OPTIONS)
	$(BIN)/python benchmarks/students_table.py

bench-ablation: $(READY)
	$(BIN)/python benchmarks/ablation.py $(BENCH_OPTIONS)
	$(BIN)/python benchmarks/students_table.py

bench-other-family: $(READY)
	$(BIN)/python benchmarks/other_family.py $(BENCH_OPTIONS)
	$(BIN)/python benchmarks/students_table.py

bench-rivals: $(READY)
	$(BIN)/python benchmarks/rivals.py $(BENCH_OPTIONS)
	$(BIN)/python benchmarks/students_table.py

bench-teachers: $(READY)
	$(BIN)/python benchmarks/teachers.py $(BENCH_OPTIONS)
	$(BIN)/python benchmarks/students_table.py

bench-vocabulary: $(READY)
	$(BIN)/python benchmarks/vocabulary_loss.py $(BENCH_OPTIONS)

bench-speed: $(READY)
	$(BIN)/python benchmarks/training_speed.py $(BENCH_OPTIONS)
	$(BIN)/python benchmarks/students_table.py

# over students that are trained: --work of bench-students, --images DIR where the picture runs are. The timing wants an idle machine
bench-int8: $(READY)
	$(BIN)/python benchmarks/int8.py $(BENCH_OPTIONS)
	$(BIN)/python benchmarks/int8_rivals.py $(BENCH_OPTIONS)
	$(BIN)/python benchmarks/int8.py --selections $(BENCH_OPTIONS)
	$(BIN)/python benchmarks/int8.py --timing $(BENCH_OPTIONS)
	$(BIN)/python benchmarks/int8.py --summary
	$(BIN)/python benchmarks/int8_table.py

# what ships, in a browser, in an empty environment, by compilers; and 100,000 texts a tokenizer
bench-bundle: $(READY)
	$(BIN)/python benchmarks/bundle_checks.py
	$(BIN)/python benchmarks/tokenizer_fuzz.py
	$(BIN)/python benchmarks/support_matrix.py

wheel: $(READY)
	$(BIN)/python -m build --wheel

# torch first, as another build of it may be wanted: TORCH_OPTIONS takes pip's options for it (README: the CPU build)
TORCH_OPTIONS ?=

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt $(TORCH_OPTIONS) torch
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[demo,dev]'
	touch $@

# it has wheels for Python 3.8 to 3.12: make oldest-runtime PYTHON=python3.11
$(OLDEST)/.ready:
	$(PYTHON) -m venv $(OLDEST)
	$(OLDEST)/bin/python -m pip install --quiet onnxruntime==1.17.3 'numpy<2'
	touch $@

clean:
	rm -rf $(VENV) $(OLDEST) runs dist build .pytest_cache .mypy_cache .ruff_cache
