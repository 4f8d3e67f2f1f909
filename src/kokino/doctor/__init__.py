"""The environment doctor: can each CLI type run here?"""
