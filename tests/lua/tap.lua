-- tap.lua - what the Lua tests share: checks that speak TAP, a line each. A test begins with
--
--   local tap <const> = dofile(arg[0]:match("^.*/") .. "tap.lua")
--
-- and ends with tap.finish(), which prints the plan and exits.

local tap = {}

local count, bad = 0, 0

-- `told`: what to show when it is not good.
function tap.ok(good, what, told)
  count = count + 1
  bad = bad + (good and 0 or 1)
  print((good and "ok " or "not ok ") .. count .. " - " .. what)
  if not good and told then
    print("# " .. told)
  end
end

function tap.is(got, want, what)
  tap.ok(got == want, what, "got " .. tostring(got) .. ", want " .. tostring(want))
end

-- Calling the function raises something that has `pattern` in it.
function tap.raises(what, pattern, ...)
  local good, message = pcall(...)
  tap.ok(not good and tostring(message):match(pattern) ~= nil, what, tostring(message))
end

function tap.finish()
  print("1.." .. count)
  os.exit(bad == 0)
end

return tap
