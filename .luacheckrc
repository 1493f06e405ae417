std = "lua54"
read_globals = { "vios" }
max_line_length = 100
files["scripts"] = { globals = { "arg" } }
