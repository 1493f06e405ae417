-- startup.lua - the file that the interactive shell runs when it starts: vios/init.lua in
-- $XDG_CONFIG_HOME (~/.config otherwise). What is wrong in it is told, and the shell starts.

local vios <const> = require("vios")

local startup = {}

-- Its path; nil when there is no folder it could be in.
function startup.path()
  local home <const>, config <const> = os.getenv("HOME"), os.getenv("XDG_CONFIG_HOME")
  local folder = config
  if not config or config:sub(1, 1) ~= "/" then
    folder = home and home:sub(1, 1) == "/" and home .. "/.config"
  end
  return folder and folder .. "/vios/init.lua"
end

function startup.run()
  local path <const> = startup.path()
  if path and vios.os.kind(path) then
    require("vios.cli").script(path, { [0] = path })
  end
end

return startup
