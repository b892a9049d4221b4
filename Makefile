.PHONY: lab test lint notebooks site live-site class train evaluate benchmarks animation

lab:
	python3 start.py

test:
	python3 start.py test

lint:
	.venv/bin/ruff format . && .venv/bin/ruff check --fix .

# Run every notebook and save it with its outputs, without widget state.
notebooks:
	cd notebooks && ../.venv/bin/jupyter nbconvert --to notebook --inplace --execute \
	  --ClearMetadataPreprocessor.enabled=True --ClearMetadataPreprocessor.preserve_cell_metadata_mask=tags \
	  --ClearMetadataPreprocessor.preserve_nb_metadata_mask=kernelspec *.ipynb

# The lessons as they were saved, as a web site: site/index.html. `make live-site` runs them first,
# so that films keep all their pictures.
site:
	.venv/bin/python -m sdlearn.site site

live-site:
	.venv/bin/python -m sdlearn.site site --live

# A course folder for nbgrader, in class/: solutions between its marks, a point for every exercise.
class:
	.venv/bin/python -m sdlearn.exercises.classroom class

# From nothing, on a CPU: one process of one thread for each of two cores.
train:
	.venv/bin/torchrun --standalone --nproc_per_node 2 -m sdlearn.train all

# The card's figures: some hours of two cores.
evaluate:
	.venv/bin/python -m sdlearn.evaluate --count 300 --card assets/tiny-sd/README.md
	.venv/bin/python -m sdlearn.evaluate --count 300 --solvers --card assets/tiny-sd/README.md
	.venv/bin/python -m sdlearn.evaluate --samples assets/samples.jpg

benchmarks:
	.venv/bin/python benchmarks/everything.py

# The animation at the top of the README, recorded in a browser.
animation:
	.venv/bin/python benchmarks/animation.py
