"""A worker of the web service in Rust, crates/coheld/examples/web_service.rs.

It counts the different words of the texts in a shared queue, and puts the number of each text into
a shared dict. The token in ``COHELD_TOKEN`` names the dict that has both.
"""

import os
import re

import coheld


def main():
    board = coheld.from_token(os.environ["COHELD_TOKEN"])
    texts, counts = board["texts"], board["counts"]
    while True:
        number, text = texts.get()
        counts[number] = len(set(re.findall(r"\w+", text.lower())))


if __name__ == "__main__":
    try:
        main()
    except coheld.ManagerGone:
        pass  # The service has ended.
