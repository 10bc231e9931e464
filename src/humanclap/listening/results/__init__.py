"""What a study has come to: progress, agreement, listeners, and the tables it exports.

In: an open study. Out: `monitor.StudyOverview` for the admin page, and the long form and codebook
that `export.export_study` writes. Begin with `all_answers`, which everything here reads.
"""
