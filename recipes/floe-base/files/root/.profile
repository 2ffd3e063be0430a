# root's login shells; a plain prompt and nothing started.
export ENV=/root/.ashrc
