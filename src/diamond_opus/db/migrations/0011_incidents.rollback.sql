DROP TABLE upkeep;
DROP TABLE supplier_health;
DROP TABLE alert_deliveries;
DROP FUNCTION check_delivery_transition();
DROP TABLE incidents;
