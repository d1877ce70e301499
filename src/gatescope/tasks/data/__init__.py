"""What tasks of files read: the files as people have them, what is wrong in them, parts, batches."""
