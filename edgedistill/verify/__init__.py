"""verify: does a converted model answer as the one that it was made from, here, in a bundle, on another core?"""
