"""The web page: `repvit-sam demo`, or `python app/main.py` in a checkout."""
