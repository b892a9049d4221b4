.PHONY: lab test lint notebooks train evaluate

lab:
	python3 start.py

test:
	python3 start.py test

lint:
	ruff format . && ruff check --fix .

# Run every notebook and save it with its outputs, without widget state.
notebooks:
	cd notebooks && ../.venv/bin/jupyter nbconvert --to notebook --inplace --execute \
	  --ClearMetadataPreprocessor.enabled=True --ClearMetadataPreprocessor.preserve_cell_metadata_mask=tags \
	  --ClearMetadataPreprocessor.preserve_nb_metadata_mask=kernelspec *.ipynb

train:
	.venv/bin/python -m sdlearn.train all

evaluate:
	.venv/bin/python -m sdlearn.evaluate --card assets/tiny-sd/README.md
	.venv/bin/python -m sdlearn.evaluate --samples assets/samples.jpg
