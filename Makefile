.PHONY: lab test lint train evaluate

lab:
	python3 start.py

test:
	python3 start.py test

lint:
	ruff format . && ruff check --fix .

train:
	.venv/bin/python -m sdlearn.train all

evaluate:
	.venv/bin/python -m sdlearn.evaluate
