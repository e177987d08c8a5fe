complete --keep-order --exclusive --command assets --arguments "(COMPLETE=fish assets -- (commandline --current-process --tokenize --cut-at-cursor) (commandline --current-token))"
