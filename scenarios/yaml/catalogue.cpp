#include "scenarios/yaml/catalogue.hpp"

#include "catalogue_data.hpp"

namespace clamor::scenario {

std::span<const CatalogueEntry> catalogue() { return catalogue_entries; }

}  // namespace clamor::scenario
