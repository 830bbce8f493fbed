# cmake -DOUT=<cpp> -DFOLDER=<reports/render> -P embed.cmake: bytes of the report's assets as C++.
set(text "#include \"reports/render/assets.hpp\"\n\nnamespace clamor::report {\n")
foreach(asset uplot_js:node_modules/uplot/dist/uPlot.iife.min.js
        uplot_css:node_modules/uplot/dist/uPlot.min.css report_js:report.js report_css:report.css)
  string(REPLACE ":" ";" parts ${asset})
  list(GET parts 0 name)
  list(GET parts 1 path)
  file(READ ${FOLDER}/${path} hex HEX)
  string(REGEX REPLACE "(..)" "0x\\1," bytes "${hex}")
  string(APPEND text "static constexpr unsigned char ${name}_bytes[] = {${bytes}};\n"
         "const std::string_view ${name}{reinterpret_cast<const char*>(${name}_bytes), "
         "sizeof ${name}_bytes};\n")
endforeach()
string(APPEND text "}  // namespace clamor::report\n")
file(WRITE ${OUT} "${text}")
